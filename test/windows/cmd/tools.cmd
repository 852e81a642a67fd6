@echo off
(echo banana
echo apple
echo Cherry)>l.txt
sort l.txt
sort < l.txt | find "a"
sort /r l.txt
find "a" l.txt
find /c "a" < l.txt
find /v /n "b" < l.txt
find "zz" l.txt >nul || echo none
findstr apple l.txt
findstr /i /n "cherry ban" l.txt
findstr /r "^b.*a$" l.txt
findstr /c:"an" /m *.txt
findstr /v an l.txt
type l.txt | findstr /b /i c
findstr "[bc]an" l.txt && echo class
findstr /x apple l.txt
echo a| more
where where >nul && echo found
where /q nosuch || echo not found
echo say "yes" now>q.txt
find "say ""yes""" q.txt
findstr "y\"yes\"n" q.txt || echo neither
findstr /c:"say \"yes\"" q.txt
findstr "\"no\" yes\"" q.txt
del l.txt q.txt
