@echo off
echo [%1] [%2] [%~1] [%*]
echo dp0=%~dp0 n0=%~n0 x0=%~x0
setlocal enabledelayedexpansion
set "A=hello world"
set B=%A:world=there%
echo %B% %A:~0,5% %A:~-5% %A:~2,-2%
for /l %%i in (1,1,3) do (set /a N=%%i*2 & echo !N!)
for /f "tokens=1,2* delims=," %%a in ("x,y,z,w") do echo %%a-%%b-%%c
for /f "delims=" %%a in ('echo out of a command') do echo got %%a
call :sub one "two three"
echo back %R% %errorlevel%
goto end
:sub
echo in sub [%1] [%~2] %~n2
set R=done
exit /b 5
:end
if "%A%"=="hello world" (echo equal) else echo not
if not exist nosuch.txt echo none
if defined A echo defined
if 5 gtr 3 echo greater
echo a^&b "c&d" ^^
(echo one
echo two) > out.txt
type out.txt
del out.txt
echo x| find "x" >nul 2>nul && echo piped
goto nolabel 2>nul || echo ran
echo never
exit /b 3
