package doctor

import "syscall"

// openFiles is the hard limit: the Go runtime raises the soft one to it by itself.
func openFiles() (uint64, error) {
	var r syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r)
	return r.Max, err
}

func disk(dir string) (free, total uint64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	return st.Bavail * uint64(st.Bsize), st.Blocks * uint64(st.Bsize), nil
}

// synchronised asks the kernel, which time daemons tell (adjtimex(2): TIME_ERROR means that none does).
func synchronised() (bool, error) {
	const timeError = 5
	var t syscall.Timex
	state, err := syscall.Adjtimex(&t)
	return err == nil && state != timeError, err
}
