@echo off
goto :start
echo skipped
:start
for %%a in (1 2 3) do (
  for %%b in (x y) do echo %%a%%b
)
for /l %%i in (3,-1,1) do echo %%i
for /l %%i in (1,2,6) do echo odd %%i
for /f "tokens=2 delims=:" %%a in ("k:v:w") do echo [%%a]
for /f "tokens=1,3" %%a in ("one two three four") do echo %%a-%%b
for /f "tokens=1*" %%a in ("one two three four") do echo %%a-%%b
for /f "tokens=2-4" %%a in ("one two three four") do echo %%a-%%b-%%c
for /f "delims=" %%a in ("  keep blanks") do echo [%%a]
for /f %%a in ("  first word") do echo [%%a]
(echo line1
echo ;comment
echo.
echo line2 more)>lines.txt
for /f %%a in (lines.txt) do echo f %%a
for /f "tokens=*" %%a in (lines.txt) do echo t %%a
for /f "skip=1 delims=" %%a in (lines.txt) do echo s %%a
for /f "usebackq delims=" %%a in ("lines.txt") do echo u %%a
for /f "usebackq" %%a in (`echo back`) do echo b %%a
for /f "usebackq tokens=2" %%a in ('lit eral') do echo l %%a
for /f "tokens=1,2 delims==" %%a in ('set PROCESSOR_ARCH') do echo %%a is %%b
for /f "eol=# tokens=1" %%a in ("#no") do echo never
for /f "tokens=1 delims=," %%a in ('echo a,b^|more') do echo p %%a
if exist lines.txt (
  echo there
) else (
  echo not there
)
if exist nosuch (echo a) else if 1==1 (echo elseif) else (echo c)
if /i ABC==abc echo same
if not ABC==abc echo differ
if "a b"=="a b" echo quoted
if 10 lss 9 (echo wrong) else echo numbers
if "10" lss "9" echo strings
if abc lss abd echo text
if 5 equ 05 echo equ
if 0x10 equ 16 echo hex
if 3 neq 4 echo neq
if 3 leq 3 if 3 geq 3 echo both
call :f 1 2
call :f "a b" c
echo returned
call :rec 3
set i=0
:loop
set /a i+=1
if %i% lss 4 goto loop
echo i %i%
echo a & echo b && echo c || echo d
nosuch 2>nul || echo failed
(echo x && cmd /c exit 1) || echo y
echo one & (echo two & echo three) & echo four
if 1==2 echo no & echo also no
(
echo block
) & echo after
echo redirect >out.txt
echo more>>out.txt
type out.txt
echo err 1>&2 2>nul
>out2.txt echo first
<out2.txt set /p V=
echo V=%V%
2>nul type nosuch
type nosuch >all.txt 2>&1
for %%f in (all.txt) do if %%~zf gtr 0 echo has text
echo ^<tag^> ^| ^& ^^ "^"
echo a^
b
echo (paren)
echo.
echo.dot
echo:colon
echo(x
echo;semi
echo,comma
echo=eq
echo/slash
rem comment & echo no
::label comment
echo end %~1
del lines.txt out.txt out2.txt all.txt
goto :eof
:f
echo f(%1,%~2) %0
goto :eof
:rec
if %1==0 exit /b
echo rec %1
set /a k=%1-1
call :rec %k%
exit /b
