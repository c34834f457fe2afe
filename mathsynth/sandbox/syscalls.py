"""System call numbers of the two machines that the filter knows: x86_64 and aarch64 (the generic table).

Generated from the kernel's uapi headers; a name that a machine does not have is not in its table.
"""

from __future__ import annotations

X86_64 = """
accept=43 accept4=288 access=21 acct=163 add_key=248 adjtimex=159 alarm=37 arch_prctl=158 bind=49 bpf=321 brk=12
capget=125 chroot=161 clock_adjtime=305 clock_getres=229 clock_gettime=228 clock_nanosleep=230 clock_settime=227
clone=56 clone3=435 close=3 connect=42 delete_module=176 dup=32 dup2=33 dup3=292 epoll_create=213 epoll_create1=291
epoll_ctl=233 epoll_pwait=281 epoll_pwait2=441 epoll_wait=232 eventfd2=290 execve=59 execveat=322 exit=60
exit_group=231 faccessat=269 faccessat2=439 fadvise64=221 fanotify_init=300 fcntl=72 finit_module=313 fork=57
fsconfig=431 fsmount=432 fsopen=430 fspick=433 fstat=5 fstatfs=138 futex=202 get_robust_list=274 getcpu=309 getcwd=79
getdents=78 getdents64=217 getegid=108 geteuid=107 getgid=104 getgroups=115 getitimer=36 getpeername=52 getpgid=121
getpgrp=111 getpid=39 getppid=110 getpriority=140 getrandom=318 getresgid=120 getresuid=118 getrlimit=97 getrusage=98
getsid=124 getsockname=51 getsockopt=55 gettid=186 gettimeofday=96 getuid=102 init_module=175 io_setup=206
io_submit=209 io_uring_enter=426 io_uring_register=427 io_uring_setup=425 ioctl=16 ioperm=173 iopl=172 ioprio_get=252
kcmp=312 kexec_file_load=320 kexec_load=246 keyctl=250 kill=62 listen=50 lookup_dcookie=212 lseek=8 lstat=6 madvise=28
membarrier=324 memfd_secret=447 migrate_pages=256 mincore=27 mmap=9 modify_ldt=154 mount=165 mount_setattr=442
move_mount=429 move_pages=279 mprotect=10 mq_open=240 mq_unlink=241 mremap=25 msgctl=71 msgget=68 msgrcv=70 msgsnd=69
msync=26 munmap=11 name_to_handle_at=303 nanosleep=35 newfstatat=262 nfsservctl=180 open=2 open_by_handle_at=304
open_tree=428 openat=257 openat2=437 pause=34 perf_event_open=298 pidfd_getfd=438 pidfd_open=434 pidfd_send_signal=424
pipe=22 pipe2=293 pivot_root=155 poll=7 ppoll=271 prctl=157 pread64=17 preadv=295 prlimit64=302 process_madvise=440
process_mrelease=448 process_vm_readv=310 process_vm_writev=311 pselect6=270 ptrace=101 quotactl=179 read=0
readlink=89 readlinkat=267 readv=19 reboot=169 recvfrom=45 recvmmsg=299 recvmsg=47 request_key=249 restart_syscall=219
rseq=334 rt_sigaction=13 rt_sigpending=127 rt_sigprocmask=14 rt_sigqueueinfo=129 rt_sigreturn=15 rt_sigsuspend=130
rt_sigtimedwait=128 rt_tgsigqueueinfo=297 sched_get_priority_max=146 sched_get_priority_min=147 sched_getaffinity=204
sched_getparam=143 sched_getscheduler=145 sched_yield=24 select=23 semctl=66 semget=64 semop=65 semtimedop=220
sendmmsg=307 sendmsg=46 sendto=44 set_robust_list=273 set_tid_address=218 setdomainname=171 sethostname=170
setitimer=38 setns=308 settimeofday=164 shmat=30 shmctl=31 shmdt=67 shmget=29 shutdown=48 sigaltstack=131 socket=41
socketpair=53 splice=275 stat=4 statfs=137 statx=332 swapoff=168 swapon=167 sysinfo=99 syslog=103 tee=276 tgkill=234
time=201 times=100 tkill=200 umask=95 umount2=166 uname=63 unshare=272 uselib=134 userfaultfd=323 vfork=58 vhangup=153
vmsplice=278 wait4=61 waitid=247 write=1 writev=20
"""
AARCH64 = """
accept=202 accept4=242 acct=89 add_key=217 adjtimex=171 bind=200 bpf=280 brk=214 capget=90 chroot=51 clock_adjtime=266
clock_getres=114 clock_gettime=113 clock_nanosleep=115 clock_settime=112 clone=220 clone3=435 close=57 connect=203
delete_module=106 dup=23 dup3=24 epoll_create1=20 epoll_ctl=21 epoll_pwait=22 epoll_pwait2=441 eventfd2=19 execve=221
execveat=281 exit=93 exit_group=94 faccessat=48 faccessat2=439 fadvise64=223 fanotify_init=262 fcntl=25
finit_module=273 fsconfig=431 fsmount=432 fsopen=430 fspick=433 fstat=80 fstatfs=44 futex=98 get_robust_list=100
getcpu=168 getcwd=17 getdents64=61 getegid=177 geteuid=175 getgid=176 getgroups=158 getitimer=102 getpeername=205
getpgid=155 getpid=172 getppid=173 getpriority=141 getrandom=278 getresgid=150 getresuid=148 getrlimit=163
getrusage=165 getsid=156 getsockname=204 getsockopt=209 gettid=178 gettimeofday=169 getuid=174 init_module=105
io_setup=0 io_submit=2 io_uring_enter=426 io_uring_register=427 io_uring_setup=425 ioctl=29 ioprio_get=31 kcmp=272
kexec_file_load=294 kexec_load=104 keyctl=219 kill=129 listen=201 lookup_dcookie=18 lseek=62 madvise=233
membarrier=283 memfd_secret=447 migrate_pages=238 mincore=232 mmap=222 mount=40 mount_setattr=442 move_mount=429
move_pages=239 mprotect=226 mq_open=180 mq_unlink=181 mremap=216 msgctl=187 msgget=186 msgrcv=188 msgsnd=189 msync=227
munmap=215 name_to_handle_at=264 nanosleep=101 newfstatat=79 nfsservctl=42 open_by_handle_at=265 open_tree=428
openat=56 openat2=437 perf_event_open=241 pidfd_getfd=438 pidfd_open=434 pidfd_send_signal=424 pipe2=59 pivot_root=41
ppoll=73 prctl=167 pread64=67 preadv=69 prlimit64=261 process_madvise=440 process_mrelease=448 process_vm_readv=270
process_vm_writev=271 pselect6=72 ptrace=117 quotactl=60 read=63 readlinkat=78 readv=65 reboot=142 recvfrom=207
recvmmsg=243 recvmsg=212 request_key=218 restart_syscall=128 rseq=293 rt_sigaction=134 rt_sigpending=136
rt_sigprocmask=135 rt_sigqueueinfo=138 rt_sigreturn=139 rt_sigsuspend=133 rt_sigtimedwait=137 rt_tgsigqueueinfo=240
sched_get_priority_max=125 sched_get_priority_min=126 sched_getaffinity=123 sched_getparam=121 sched_getscheduler=120
sched_yield=124 semctl=191 semget=190 semop=193 semtimedop=192 sendmmsg=269 sendmsg=211 sendto=206 set_robust_list=99
set_tid_address=96 setdomainname=162 sethostname=161 setitimer=103 setns=268 settimeofday=170 shmat=196 shmctl=195
shmdt=197 shmget=194 shutdown=210 sigaltstack=132 socket=198 socketpair=199 splice=76 statfs=43 statx=291 swapoff=225
swapon=224 sysinfo=179 syslog=116 tee=77 tgkill=131 times=153 tkill=130 umask=166 umount2=39 uname=160 unshare=97
userfaultfd=282 vhangup=58 vmsplice=75 wait4=260 waitid=95 write=64 writev=66
"""
ALLOWED = """
read write readv writev pread64 preadv close lseek fstat newfstatat stat lstat statx statfs fstatfs readlink
readlinkat access faccessat faccessat2 getdents64 getdents getcwd mmap munmap mprotect mremap madvise brk msync
rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigsuspend rt_sigtimedwait sigaltstack set_robust_list
get_robust_list set_tid_address rseq futex membarrier sched_yield sched_getaffinity sched_getparam sched_getscheduler
sched_get_priority_max sched_get_priority_min getcpu getpid gettid getppid getuid geteuid getgid getegid getgroups
getresuid getresgid getpgrp getpgid getsid getrandom clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday
time times getrusage getrlimit sysinfo uname poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl
epoll_wait epoll_pwait epoll_pwait2 pipe pipe2 dup dup2 dup3 eventfd2 recvfrom shutdown getsockopt getsockname
getpeername pause alarm setitimer getitimer wait4 waitid arch_prctl restart_syscall exit exit_group fadvise64 umask
capget getpriority ioprio_get mincore
"""
"""Calls that touch nothing but the process itself, or that Landlock and the limits bound."""
KILLED = """
socket connect bind listen accept accept4 sendmsg sendmmsg recvmsg recvmmsg execve execveat fork vfork ptrace
process_vm_readv process_vm_writev process_madvise process_mrelease kcmp bpf perf_event_open userfaultfd
io_uring_setup io_uring_enter io_uring_register unshare setns mount umount2 pivot_root chroot open_tree move_mount
fsopen fsconfig fsmount fspick mount_setattr open_by_handle_at name_to_handle_at fanotify_init tkill rt_sigqueueinfo
rt_tgsigqueueinfo pidfd_open pidfd_getfd pidfd_send_signal keyctl add_key request_key shmget shmat shmctl shmdt semget
semop semctl semtimedop msgget msgsnd msgrcv msgctl mq_open mq_unlink init_module finit_module delete_module
kexec_load kexec_file_load reboot swapon swapoff acct quotactl nfsservctl modify_ldt iopl ioperm uselib vmsplice
splice tee io_setup io_submit memfd_secret lookup_dcookie syslog settimeofday clock_settime clock_adjtime adjtimex
sethostname setdomainname vhangup migrate_pages move_pages
"""
"""Calls that no program needs which only calculates: one of them ends it, which is the verdict `denied`."""


def table(machine: str) -> dict[str, int] | None:
    """Name -> number on this machine (`platform.machine()`), or None if its numbers are not known here."""
    text = {"x86_64": X86_64, "aarch64": AARCH64}.get(machine)
    return None if text is None else {name: int(number) for name, number in (part.split("=") for part in text.split())}
