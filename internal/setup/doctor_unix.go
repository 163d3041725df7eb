//go:build unix

package setup

import (
	"os"

	"golang.org/x/sys/unix"
)

// OpenFiles is how many files this process may open; 0: not known.
func OpenFiles() uint64 {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return limit.Cur
}

// DiskSpace is how much room the disk of a folder has for an ordinary user.
func DiskSpace(dir string) (Space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return Space{}, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	size := uint64(st.Bsize) //nolint:gosec // it is not negative; the types differ by system
	return Space{Free: uint64(st.Bavail) * size, Total: st.Blocks * size}, nil
}
