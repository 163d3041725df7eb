//go:build !unix

package setup

import "errors"

// OpenFiles is how many files this process may open; 0: not known.
func OpenFiles() uint64 { return 0 }

// DiskSpace is how much room the disk of a folder has for an ordinary user.
func DiskSpace(string) (Space, error) { return Space{}, errors.ErrUnsupported }
