@echo off
md t 2>nul
cd t
echo %cd:~-2%
md a b\c\d "e f"
if exist b\c\d\ echo deep
echo one>a\1.txt
echo two>a\2.txt
echo three>a\3.log
dir /b a
dir /b /s a\*.txt >nul && echo dir ok
dir /b a\*.txt
dir /ad /b
copy a\1.txt b >nul && echo copied
copy a\*.txt "e f" 
copy /b a\1.txt+a\2.txt joined.txt
type joined.txt
copy a\1.txt+a\2.txt >nul
type a\1.txt
move a\3.log b\c
move /y a\2.txt b\two.txt >nul
dir /b b
ren b\two.txt deux.txt
dir /b b
ren b\*.txt *.bak
dir /b b
for %%i in (b\*.bak) do echo %%~ni
for /d %%i in (*) do echo d %%i
for /r %%i in (*.bak) do echo r %%~nxi
del b\1.bak
if not exist b\1.bak echo deleted
del /q b\*
dir /b b
rd b 2>nul || echo not empty
rd /s /q b
if not exist b echo gone
move a z >nul
if exist z\1.txt echo moved dir
pushd z
echo %cd:~-3%
popd
echo %cd:~-2%
type z\1.txt z\1.txt 2>nul
type nosuch 2>nul || echo no file
copy nul empty >nul
for %%i in (empty) do echo size %%~zi
attrib +r empty
del empty 2>nul
if exist empty echo readonly stays
del /f empty
if not exist empty echo forced
echo a>x1
echo b>x2
del x?
if not exist x1 if not exist x2 echo both
cd ..
rd /s /q t
if not exist t echo clean
