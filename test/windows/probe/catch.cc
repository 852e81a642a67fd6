// SPDX-License-Identifier: Apache-2.0
// Exceptions of C++ in the tables of Microsoft's compilers, without their libraries: what is thrown,
// caught, thrown again, copied and destroyed, in which order.
extern "C" int printf(const char *, ...);
extern "C" int puts(const char *);
class type_info {
	virtual ~type_info();
};
#ifdef _WIN32
__asm__(".data\n.globl \"??_7type_info@@6B@\"\n\"??_7type_info@@6B@\": .quad 0\n.text\n");
extern "C" int _fltused = 0;
#endif

static int alive;
struct noisy {
	int n;
	noisy(int v) : n(v) { alive++; }
	noisy(const noisy &o) : n(o.n + 100) { alive++; }
	~noisy()
	{
		alive--;
		printf("~%d ", n);
	}
};
struct base {
	int b = 1;
	virtual int who() { return 1; }
};
struct other {
	int o = 5;
};
struct derived : other, base {
	int who() override { return 2; }
};

static __attribute__((noinline)) void deep(int n)
{
	noisy here(n);
	if (n == 0)
		throw noisy(50);
	deep(n - 1);
}

static void by_reference()
{
	try {
		deep(2);
	} catch (int) {
		printf("wrong ");
	} catch (noisy &x) {
		printf("ref %d ", x.n);
	}
	printf("alive %d\n", alive);
}

static void by_value()
{
	try {
		noisy local(7);
		throw noisy(51);
	} catch (noisy x) {
		printf("value %d ", x.n);
	}
	printf("alive %d\n", alive);
}

static void of_base()
{
	try {
		throw derived();
	} catch (base &b) {
		printf("base %d %d ", b.who(), b.b);
	}
	derived d;
	try {
		throw &d;
	} catch (base *b) {
		printf("pointer %d %d\n", b->who(), b->b);
	}
}

static void again()
{
	try {
		noisy outer(1);
		try {
			throw noisy(60);
		} catch (noisy &x) {
			noisy in_catch(2);
			x.n++;
			throw;
		}
	} catch (noisy &x) {
		printf("again %d ", x.n);
	}
	printf("alive %d\n", alive);
}

static void another()
{
	noisy first(3);
	try {
		noisy second(4);
		try {
			throw 1;
		} catch (int i) {
			noisy third(5);
			try {
				throw noisy(70 + i);
			} catch (noisy &x) {
				noisy fourth(6);
				throw (long long)x.n;
			}
		}
	} catch (long long l) {
		printf("another %d ", (int)l);
	}
	printf("alive %d\n", alive);
}

static int loops()
{
	int caught = 0;
	for (int i = 0; i < 10000; i++)
		try {
			if (i % 2)
				throw i;
			throw 1.5;
		} catch (int n) {
			caught += n & 1;
		} catch (...) {
			caught += 2;
		}
	return caught;
}

int main()
{
	by_reference();
	by_value();
	of_base();
	again();
	another();
	printf("loops %d alive %d\n", loops(), alive);
	try {
		throw 'x';
	} catch (...) {
		printf("all\n");
	}
	return 3;
}
