@prompt $g
echo hello
set X=5
if %X%==5 echo five
for %%i in (1 2) do echo %%i
@echo quiet
(echo a & echo b)
@echo off
echo off
