# Compilers, libraries, debuggers.

## c: hello
# packages: gcc libc6-dev
printf '#include <stdio.h>\nint main(void){puts("hello");return 3;}\n' >h.c; gcc -Wall -o h h.c; ./h || echo $?

## c-plus-plus: with threads and exceptions
# packages: g++
printf '#include <iostream>\n#include <thread>\nint main(){int n=0;std::thread t([&]{n=7;});t.join();try{throw n;}catch(int e){std::cout<<e<<"\\n";}}\n' >h.cc; g++ -pthread -o h h.cc; ./h

## make: builds what is older
# packages: make
printf 'b: a\n\tcp a b\n' >Makefile; echo 1 >a; make -s; make -q && cat b

## parallel-make: with a job server
# packages: make
printf 'all: 1 2 3 4\n%%:\n\t@sleep 0.1; touch $@\n' >Makefile; make -sj4; ls

## cmake: configure, build, install
# packages: cmake make gcc libc6-dev
printf 'cmake_minimum_required(VERSION 3.13)\nproject(h C)\nadd_executable(h h.c)\ninstall(TARGETS h DESTINATION bin)\n' >CMakeLists.txt; echo 'int main(void){return 0;}' >h.c
cmake -S . -B b >/dev/null; cmake --build b >/dev/null; cmake --install b --prefix out >/dev/null; out/bin/h; echo $?

## meson: configure and build
# packages: meson ninja-build gcc libc6-dev
printf "project('h','c')\nexecutable('h','h.c')\n" >meson.build; echo 'int main(void){return 0;}' >h.c; meson setup b >/dev/null; ninja -C b >/dev/null; b/h; echo $?

## autotools: autoconf, configure
# packages: autoconf automake make gcc libc6-dev
printf 'AC_INIT([h],[1])\nAC_PROG_CC\nAC_CHECK_HEADERS([unistd.h])\nAC_CONFIG_FILES([Makefile])\nAC_OUTPUT\n' >configure.ac; echo 'all:' >Makefile.in; autoconf; ./configure >log; grep -c 'unistd.h... yes' log

## shared-library: found by rpath, by variable and by the cache
# packages: gcc libc6-dev
echo 'int f(void){return 5;}' >f.c; echo 'int f(void);int main(void){return f();}' >m.c; gcc -shared -fPIC -o libday.so f.c; gcc -o m m.c -L. -lday
./m 2>&1 | grep -c 'cannot open'; LD_LIBRARY_PATH=$PWD ./m || echo $?; sudo cp libday.so /usr/local/lib/; sudo ldconfig; ./m || echo $?; sudo rm /usr/local/lib/libday.so; sudo ldconfig

## preload: a library before libc
# packages: gcc libc6-dev
echo 'int getuid(void){return 4242;}' >u.c; gcc -shared -fPIC -o u.so u.c; LD_PRELOAD=$PWD/u.so id -ru

## static: no loader
# packages: gcc libc6-dev
echo 'int main(void){return 0;}' >s.c; gcc -static -o s s.c; ldd s 2>&1 | tr -d '\t'; ./s; echo $?

## sanitizer: finds a use after free
# packages: gcc libc6-dev
printf '#include <stdlib.h>\nint main(void){char*p=malloc(4);free(p);return p[1];}\n' >a.c; gcc -g -fsanitize=address -o a a.c; ./a 2>&1 | grep -o 'heap-use-after-free' | head -1

## debugger: a breakpoint and a value
# packages: gdb gcc libc6-dev
printf 'int f(int n){return n*2;}\nint main(void){return f(21);}\n' >g.c; gcc -g -o g g.c; gdb -q -nx -batch -ex 'break f' -ex run -ex 'print n' -ex finish g 2>&1 | grep -E '^\$1|Value returned'

## attach: a debugger to a running program
# packages: gdb
sleep 60 & gdb -q -nx -batch -p $! -ex 'info proc' 2>&1 | grep -c "^cmdline = 'sleep 60'"; kill $!

## strace: of a new program
# packages: strace
strace -f -e trace=openat -o log cat /etc/hostname >/dev/null; grep -c '"/etc/hostname"' log

## ltrace: of a library's calls
# packages: ltrace gcc libc6-dev
printf '#include <stdlib.h>\nint main(void){return atoi("7")-7;}\n' >l.c; gcc -no-pie -fno-builtin -Wl,-z,lazy -o l l.c; ltrace -e atoi ./l 2>&1 | grep -c 'atoi(.*= 7'

## valgrind: a leak
# packages: valgrind gcc libc6-dev
printf '#include <stdlib.h>\nint main(void){return malloc(10)==0;}\n' >v.c; gcc -g -o v v.c; valgrind ./v 2>&1 | grep -o 'definitely lost: 10 bytes\|in use at exit: 10 bytes' | head -1

## assembler: a program without libc
# packages: nasm binutils
printf 'global _start\n_start: mov eax,60\nmov edi,9\nsyscall\n' >x.s; nasm -felf64 x.s; ld -o x x.o; ./x || echo $?

## fortran: hello
# packages: gfortran
printf 'program h\nprint *, 6*7\nend\n' >h.f90; gfortran -o h h.f90; ./h

## cache: ccache hits
# packages: ccache gcc libc6-dev
export CCACHE_DIR=$PWD/cc; echo 'int x;' >x.c; ccache gcc -c x.c; ccache gcc -c x.c; ccache -s | grep -i 'hits' | head -1 | tr -s ' ' | cut -d: -f2 | cut -d/ -f1
