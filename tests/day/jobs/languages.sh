# Interpreters and their package managers.

## python: a virtual environment
# packages: python3-venv
python3 -m venv ve; . ve/bin/activate; python -c 'import sys; print(sys.prefix != sys.base_prefix)'; pip --version | cut -d' ' -f1

## python-package: built and installed without a network
# packages: python3-venv python3-setuptools python3-wheel
python3 -m venv --system-site-packages ve; mkdir p; printf 'from setuptools import setup\nsetup(name="day",version="1",py_modules=["day"])\n' >p/setup.py; echo 'def f(): return 11' >p/day.py
ve/bin/pip install -q --no-index --no-build-isolation ./p 2>&1 | sed '/notice/d'; ve/bin/python -c 'import day; print(day.f())'

## python-processes: share memory
# packages: python3
python3 -c 'from multiprocessing import Pool, shared_memory
s = shared_memory.SharedMemory(create=True, size=8); s.buf[0] = 5; print(s.buf[0]); s.close(); s.unlink()
print(sum(Pool(2).map(abs, [-1, -2, -3])))'

## python-server: answers on the loopback
# packages: python3 curl
echo page >f; python3 -m http.server --bind 127.0.0.1 18473 >/dev/null 2>&1 & sleep 2; curl -s http://127.0.0.1:18473/f; kill $!

## python-terminal: a pty
# packages: python3
python3 -c 'import pty; pty.spawn(["tty"])' | sed 's/[0-9]*.$//'

## sqlite: a database
# packages: sqlite3
sqlite3 d 'create table t(n); insert into t values(3),(4); select sum(n) from t'

## node: a server and a client
# packages: nodejs
node -e 'const h=require("http");const s=h.createServer((q,r)=>r.end("hi")).listen(18474,"127.0.0.1",()=>h.get("http://127.0.0.1:18474",r=>r.on("data",d=>{console.log(""+d);s.close()})))'

## npm: a local package with a program
# packages: npm
mkdir p; echo '{"name":"day","version":"1.0.0","bin":{"day":"day.js"}}' >p/package.json; printf '#!/usr/bin/env node\nconsole.log("ran")\n' >p/day.js; npm install --silent --no-audit --no-fund ./p >/dev/null; node_modules/.bin/day

## go: build and test
# packages: golang-go
export GOFLAGS=-mod=mod GOPROXY=off GOCACHE=$PWD/.c; printf 'module day\ngo 1.19\n' >go.mod; printf 'package main\nimport "fmt"\nfunc main(){fmt.Println("go")}\n' >m.go; go build -o day .; ./day

## rust: build
# packages: rustc
printf 'fn main(){ println!("{}", (1..=4).product::<u32>()); }\n' >m.rs; rustc -o m m.rs; ./m

## java: compile and run
# packages: default-jdk-headless
printf 'public class H{public static void main(String[] a){System.out.println("java");}}\n' >H.java; javac H.java; java H

## perl: modules and files
# short
perl -MPOSIX -MFile::Temp -e 'my $t = File::Temp->new; print $t "x"; print strftime("%Y", gmtime(0)), "\n"'

## perl-module: built and installed
# packages: make perl
mkdir lib; echo 'package Day; sub f { 12 } 1;' >lib/Day.pm; echo 'use ExtUtils::MakeMaker; WriteMakefile(NAME=>"Day", VERSION=>1);' >Makefile.PL; perl Makefile.PL INSTALL_BASE=$PWD/o >/dev/null; make -s install >/dev/null; perl -Io/lib/perl5 -MDay -e 'print Day::f(), "\n"'

## ruby: a gem of one's own
# packages: ruby
printf 'Gem::Specification.new{|s|s.name="day";s.version="1";s.summary="x";s.authors=["me"];s.files=["lib/day.rb"]}\n' >day.gemspec; mkdir lib; echo 'DAY=13' >lib/day.rb; export GEM_HOME=$PWD/g; gem build -q day.gemspec >/dev/null 2>&1; gem install -q --local day-1.gem >/dev/null 2>&1; ruby -e 'require "day"; puts DAY'

## php: the built-in server
# packages: php-cli curl
echo '<?php echo 2+2;' >i.php; php -S 127.0.0.1:18475 >/dev/null 2>&1 & sleep 2; curl -s http://127.0.0.1:18475/i.php; echo; kill $!

## lua: hello
# packages: lua5.4
lua5.4 -e 'print(string.rep("a",3))'

## tcl: hello
# packages: tcl
echo 'puts [expr {3*3}]' | tclsh

## lisp: hello
# packages: guile-3.0
guile -c '(display (map (lambda (x) (* x x)) (list 1 2 3)))'; echo

## awk: sort and join
# short
printf 'b 2\na 1\n' | sort | awk '{s+=$2; print $1} END{print s}'
