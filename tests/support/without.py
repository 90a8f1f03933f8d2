#!/usr/bin/python3
"""without.py [landlock] [seccomp] -- PROGRAM...: run the program as if the kernel had no Landlock, or the container forbade new filters.

A filter of libseccomp answers for the calls: ENOSYS for those of Landlock, EINVAL for seccomp() and prctl(PR_SET_SECCOMP)."""
import ctypes
import errno
import os
import sys

ALLOW, PR_SET_SECCOMP, EQUAL = 0x7fff0000, 22, 4
split = sys.argv.index("--")
library = ctypes.CDLL("libseccomp.so.2")
library.seccomp_init.restype = ctypes.c_void_p


class Argument(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def fail(context, call, error, *arguments):
    array = (Argument * len(arguments))(*arguments)
    number = call if isinstance(call, int) else library.seccomp_syscall_resolve_name(call.encode())
    assert library.seccomp_rule_add_array(ctypes.c_void_p(context), 0x00050000 | error, number, len(arguments), array) == 0, call


context = library.seccomp_init(ALLOW)
if "landlock" in sys.argv[1:split]:
    for number in (444, 445, 446):
        fail(context, number, errno.ENOSYS)
if "seccomp" in sys.argv[1:split]:
    fail(context, "seccomp", errno.EINVAL)
    fail(context, "prctl", errno.EINVAL, Argument(0, EQUAL, PR_SET_SECCOMP, 0))
assert library.seccomp_load(ctypes.c_void_p(context)) == 0
os.execv(sys.argv[split + 1], sys.argv[split + 1:])
