@echo off
setlocal enabledelayedexpansion
cmd /c nosuch 2>nul
echo 1 !errorlevel!
nosuch 2>nul
echo 2 !errorlevel!
cmd /c "exit 5"
echo 3 !errorlevel!
cmd /c "exit 5 & echo x"
echo 4 !errorlevel!
cmd /c "cmd /c exit 5 & echo x"
echo 5 !errorlevel!
cmd /c "cd nosuch" 2>nul
echo 6 !errorlevel!
cmd /c "type nosuch" 2>nul
echo 7 !errorlevel!
cmd /c "del nosuch" 2>nul
echo 8 !errorlevel!
cmd /c "rd nosuch" 2>nul
echo 9 !errorlevel!
cmd /c "md x\y\z"
echo 10 !errorlevel!
cmd /c "md x" 2>nul
echo 11 !errorlevel!
cmd /c "ren nosuch a" 2>nul
echo 12 !errorlevel!
cmd /c "copy nosuch a" 2>nul >nul
echo 13 !errorlevel!
cmd /c "move nosuch a" 2>nul >nul
echo 14 !errorlevel!
cmd /c "if 1==1 (exit /b 7)"
echo 15 !errorlevel!
cmd /c "dir nosuch" >nul 2>nul
echo 16 !errorlevel!
cmd /c "set nosuch" >nul 2>nul
echo 17 !errorlevel!
cmd /c "set /a 1/0" >nul 2>nul
echo 18 !errorlevel!
cmd /c "set /a 1+" >nul 2>nul
echo 19 !errorlevel!
cmd /c "echo a && && echo b" >nul 2>nul
echo 20 !errorlevel!
cmd /c "echo a | cmd /c exit 4"
echo 21 !errorlevel!
cmd /c "cmd /c exit 4 | echo a"
echo 22 !errorlevel!
cmd /c "pushd nosuch" 2>nul
echo 23 !errorlevel!
cmd /c "popd" 2>nul
echo 24 !errorlevel!
cmd /c "call :x" 2>nul
echo 25 !errorlevel!
cmd /c "call nosuch" 2>nul
echo 26 !errorlevel!
cmd /c "cmd /c exit 3 && echo a || echo b"
echo 27 !errorlevel!
cmd /c "cmd /c exit 3 & if errorlevel 3 echo three"
echo 28 !errorlevel!
cmd /c "echo x > nosuch\y" 2>nul
echo 29 !errorlevel!
cmd /c "type < nosuch" 2>nul
echo 30 !errorlevel!
rd nosuch 2>nul && echo ok || echo failed !errorlevel!
cmd /c exit 9
rd nosuch 2>nul
echo 31 !errorlevel!
cmd /c exit 9
echo x>nul
echo 32 !errorlevel!
cmd /c exit 9
set zz=1
echo 33 !errorlevel!
cmd /c exit 9
cd .
echo 34 !errorlevel!
cmd /c exit 9
rem
echo 35 !errorlevel!
cmd /c exit 9
(call )
echo 36 !errorlevel!
(call)
echo 37 !errorlevel!
cmd /c exit 9
call :nothing
echo 38 !errorlevel!
cmd /c exit 9
md q
echo 39 !errorlevel!
cmd /c exit 9
rd q
echo 40 !errorlevel!
cmd /c exit 9
type nul > f
echo 41 !errorlevel!
cmd /c exit 9
del f
echo 42 !errorlevel!
cmd /c exit 9
if 1==1 echo x
echo 43 !errorlevel!
cmd /c exit 9
for %%i in (1) do echo x
echo 44 !errorlevel!
cmd /c exit 9
ver >nul
echo 45 !errorlevel!
cmd /c exit 9
title x
echo 46 !errorlevel!
cmd /c exit 9
pushd .
echo 47 !errorlevel!
popd
echo 48 !errorlevel!
cmd /c exit -1
echo 49 !errorlevel!
exit /b
:nothing
exit /b
