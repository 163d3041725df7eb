package broker

import (
	"os"
	"path/filepath"
)

// Holder returns the process that has a data directory open. It makes no file: where nobody ever opened the directory,
// nobody has it open. The lock itself is the only sure sign, so where it is free it is taken, and given back at once.
func Holder(dir string) (pid int, held bool) {
	path := filepath.Join(dir, "LOCK")
	f, err := os.Open(path)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	if held, err = tryLock(f); err != nil || !held { // closing the file gives the lock back
		return 0, false
	}
	return readPID(path), true
}
