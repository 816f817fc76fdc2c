// The first instructions of a program, as they were before glibc 2.34: the
// program brings the function that runs its constructors. The crt1.o of a newer
// C library leaves that to the library, and an older library does not do it.

typedef void function(int, char **, char **);

extern void _init(void);
extern function *__init_array_start[] __attribute__((visibility("hidden")));
extern function *__init_array_end[] __attribute__((visibility("hidden")));

__attribute__((used, visibility("hidden")))
void run_constructors(int argc, char **argv, char **envp) {
	_init();
	for (function **f = __init_array_start; f != __init_array_end; f++)
		(*f)(argc, argv, envp);
}

// __libc_start_main(main, argc, argv, init, fini, rtld_fini, stack_end); the
// loader runs the destructors, so there is no fini.
#if defined(__x86_64__)
__asm__(
	".text\n"
	".globl _start\n"
	".type _start, @function\n"
	"_start:\n"
	"	endbr64\n"
	"	xorl %ebp, %ebp\n"
	"	movq %rdx, %r9\n"
	"	popq %rsi\n"
	"	movq %rsp, %rdx\n"
	"	andq $-16, %rsp\n"
	"	pushq %rax\n"
	"	pushq %rsp\n"
	"	xorl %r8d, %r8d\n"
	"	movq $run_constructors, %rcx\n"
	"	movq $main, %rdi\n"
	"	call *__libc_start_main@GOTPCREL(%rip)\n"
	"	hlt\n"
	".size _start, .-_start\n");
#elif defined(__aarch64__)
__asm__(
	".text\n"
	".globl _start\n"
	".type _start, %function\n"
	"_start:\n"
	"	mov x29, #0\n"
	"	mov x30, #0\n"
	"	mov x5, x0\n"
	"	ldr x1, [sp]\n"
	"	add x2, sp, #8\n"
	"	mov x6, sp\n"
	"	adrp x0, main\n"
	"	add x0, x0, :lo12:main\n"
	"	adrp x3, run_constructors\n"
	"	add x3, x3, :lo12:run_constructors\n"
	"	mov x4, #0\n"
	"	bl __libc_start_main\n"
	"	bl abort\n"
	".size _start, .-_start\n");
#else
#error "no start of a program for this architecture"
#endif
