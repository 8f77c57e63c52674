#include "textflag.h"

// tbx_entry is where the kernel starts tbx (cmd/link's flag -E, see the Makefile): Go's
// runtime puts handlers of its own in place of what the caller has set before any
// Go code runs, and execve(2) makes those defaults. Here what was inherited is written
// down; then Go starts as ever. It keeps the stack as it is, where the arguments are.
//
// It also tries whether Go can start: without the address space for its tables, a
// thread, or two descriptors the runtime ends with a trace and exit code 2, which run
// and enter would pass off as the command's. See docs/exit-codes.md: 125.
TEXT tbx_entry(SB),NOSPLIT|NOFRAME|TOPFRAME,$0
	MOVQ	$1, R12
	XORQ	R13, R13
each:
	MOVQ	R12, DI
	XORL	SI, SI
	LEAQ	·action(SB), DX
	MOVQ	$8, R10
	MOVL	$13, AX		// rt_sigaction(signal, nil, &action, 8)
	SYSCALL
	TESTQ	AX, AX
	JNE	next
	CMPQ	·action(SB), $1	// SIG_IGN
	JNE	next
	LEAQ	-1(R12), CX
	BTSQ	CX, R13
next:
	INCQ	R12
	CMPQ	R12, $64
	JLE	each
	MOVQ	R13, ·ignored(SB)

	XORL	DI, DI
	XORL	SI, SI
	LEAQ	·blocked(SB), DX
	MOVQ	$8, R10
	MOVL	$14, AX		// rt_sigprocmask(SIG_BLOCK, nil, &blocked, 8)
	SYSCALL
	MOVB	$1, ·known(SB)

	MOVQ	$0x2b800000, R12	// what Go reserves at its start, and some more
	XORL	DX, DX		// PROT_NONE
	MOVL	$0x4022, R10	// MAP_PRIVATE|MAP_ANONYMOUS|MAP_NORESERVE
	CALL	probe<>(SB)
	MOVQ	$0x2900000, R12	// what it writes to, and tbx's data
	MOVL	$3, DX		// PROT_READ|PROT_WRITE
	MOVL	$0x4022, R10
	CALL	probe<>(SB)

	MOVL	$291, AX	// epoll_create1(EPOLL_CLOEXEC), of Go's network poller
	MOVL	$0x80000, DI
	SYSCALL
	CMPQ	AX, $0xfffffffffffff001
	JCC	fail
	MOVQ	AX, R12
	MOVL	$290, AX	// eventfd2(0, EFD_CLOEXEC), of the same
	XORL	DI, DI
	MOVL	$0x80000, SI
	SYSCALL
	CMPQ	AX, $0xfffffffffffff001
	JCC	fail
	MOVQ	AX, R13
	MOVL	$290, AX	// and one more
	XORL	DI, DI
	MOVL	$0x80000, SI
	SYSCALL
	CMPQ	AX, $0xfffffffffffff001
	JCC	fail
	MOVQ	AX, DI
	MOVL	$3, AX		// close
	SYSCALL
	MOVQ	R13, DI
	MOVL	$3, AX
	SYSCALL
	MOVQ	R12, DI
	MOVL	$3, AX
	SYSCALL

	MOVL	$97, AX		// getrlimit(RLIMIT_NPROC, &action)
	MOVL	$6, DI
	LEAQ	·action(SB), SI
	SYSCALL
	MOVL	$4096, AX	// who has more has enough, and no thread is tried
	CMPQ	·action(SB), AX
	JCC	start
	MOVL	$56, AX		// clone(CLONE_VM|FS|FILES|SIGHAND|THREAD|SYSVSEM): a thread
	MOVL	$0x50f00, DI	// on this very stack, of which it uses nothing
	XORL	SI, SI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	SYSCALL
	CMPQ	AX, $0xfffffffffffff001
	JCC	fail
	TESTQ	AX, AX
	JNE	start
	MOVL	$60, AX		// exit, of the thread alone
	XORL	DI, DI
	SYSCALL
start:
	JMP	_rt0_amd64_linux(SB)
fail:
	JMP	cannot<>(SB)

// probe maps R12 bytes and gives them back, or ends the program.
TEXT probe<>(SB),NOSPLIT|NOFRAME,$0
	XORL	DI, DI
	MOVQ	R12, SI
	MOVQ	$-1, R8
	XORL	R9, R9
	MOVL	$9, AX		// mmap
	SYSCALL
	CMPQ	AX, $0xfffffffffffff001
	JCC	none
	MOVQ	AX, DI
	MOVQ	R12, SI
	MOVL	$11, AX		// munmap
	SYSCALL
	RET
none:
	JMP	cannot<>(SB)

// cannot says that Go cannot start here, and ends the program.
TEXT cannot<>(SB),NOSPLIT|NOFRAME,$0
	MOVL	$2, DI
	MOVQ	·tooLittle(SB), SI	// a string's address ...
	MOVQ	·tooLittle+8(SB), DX	// ... and length
	MOVL	$1, AX		// write
	SYSCALL
	MOVL	$125, DI
	MOVL	$231, AX	// exit_group
	SYSCALL
	INT	$3
