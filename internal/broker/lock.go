package broker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrLocked says that another process has the data directory open.
var ErrLocked = errors.New("data directory is in use")

// LockedError is ErrLocked with the directory and the process that has it.
type LockedError struct {
	Dir string
	PID int // 0: it did not write one
}

// Error implements error.
func (e *LockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("lock %s: %v by another process", e.Dir, ErrLocked)
	}
	return fmt.Sprintf("lock %s: %v by process %d", e.Dir, ErrLocked, e.PID)
}

// Unwrap makes it an ErrLocked.
func (e *LockedError) Unwrap() error { return ErrLocked }

// dirLock holds the file LOCK of a directory. The file stays when the lock is gone: only the lock counts.
type dirLock struct{ file *os.File }

func lockDir(dir string) (*dirLock, error) {
	path := filepath.Join(dir, "LOCK")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	held, err := tryLock(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), f.Close())
	}
	if held {
		return nil, errors.Join(&LockedError{Dir: dir, PID: readPID(path)}, f.Close())
	}
	if err := writePID(f); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), f.Close())
	}
	return &dirLock{file: f}, nil
}

// WhileLocked calls fn while no broker, of this process or another, has the data directory open. It is a *LockedError when
// one has.
func WhileLocked(dir string, fn func() error) error {
	lock, err := lockDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(fn(), lock.release())
}

func (l *dirLock) release() error {
	if l == nil {
		return nil
	}
	return l.file.Close()
}

func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func readPID(path string) int {
	raw, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(raw)))
	return pid
}
