//go:build !unix

package broker

import (
	"errors"
	"os"
)

// errNoLock: without a lock that ends with its process two brokers could write one log.
var errNoLock = errors.New("a broker with a data directory needs a Unix system")

func tryLock(*os.File) (held bool, err error) { return false, errNoLock }

func freeBytes(string) (uint64, error) { return 0, errNoLock }
