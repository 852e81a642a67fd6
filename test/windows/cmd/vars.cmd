@echo off
set A=abcdefg
echo %A:~1% %A:~1,3% %A:~-3% %A:~-3,2% %A:~0,-2% %A:~9% [%A:~2,0%]
echo %A:cd=XY% %A:c=% %A:*d=Z% %A:zz=q%
echo %undefined% [%undefined:~1%] 100%% done
set "Q=a "quoted" b"
echo %Q%
echo %Q:"=%
set  sp = x
echo [%sp %]
set E=
if not defined E echo empty
set /a x=5, y=x*2, z=(x+y)%%4
echo %x% %y% %z%
set /a n=0x1F+010+3
echo %n%
set /a n=1^<^<4
echo %n%
set /a "n=1<<5|3"
echo %n%
set /a n+=1
echo %n%
set /a n=-7/2
echo %n%
set /a n=-7%%3
echo %n%
set /a n=~5
echo %n%
set /a n=!0
echo %n%
set /a n=2147483647+1
echo %n%
set /a m=k+1
echo %m%
set /a "n=(1+2)*(3+4)-1"
echo %n%
setlocal
set A=local
echo %A%
endlocal
echo %A%
setlocal enabledelayedexpansion
set D=x
if 1==1 (
  set D=y
  echo %D% !D!
  echo !D:y=z! !A:~2,2!
)
set "S=a!b"
echo hello^^! wow^!
echo !undefined! [!A!]
endlocal
echo no !A! here
for %%i in ("a b.txt") do echo %%i %%~i %%~ni %%~xi %%~nxi
for %%i in (dir\sub\file.ext) do echo %%~ni %%~xi %%~nxi
call echo %%A%%
set P=%%A%%
call echo %P%
echo %~nx0
echo "%~1" "%~2" %3 [%4]
shift
echo %1 %2 [%*]

set A >nul && echo found
set NOSUCHVAR 2>nul || echo not found
echo %A:~2%%A:~0,2%
echo %A%%A%
echo %
echo a%b
echo 50%% off
