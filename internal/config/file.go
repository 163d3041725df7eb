package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"unicode/utf8"
)

const maxFileSize = 1 << 20

// Candidates returns the places that are searched for the file, in order, where neither --config nor ORDERCTL_CONFIG
// names one.
func Candidates(environ []string) []string {
	return []string{
		filepath.Join("configs", "orderctl.yaml"),
		filepath.Join(PathsOf(environ).Config, "config.yaml"),
		"/etc/orderctl/config.yaml",
	}
}

// findFile returns the path of the file and its bytes; both are empty where no place has one. A file that is named must
// exist.
func findFile(in Input) (string, []byte, *Problem) {
	if in.Path != "" {
		return in.named(in.Path, Origin{Kind: FromFlag, Name: "--config"})
	}
	if path := environment(in.Environ)["ORDERCTL_CONFIG"]; path != "" {
		return in.named(path, Origin{Kind: FromEnv, Name: "ORDERCTL_CONFIG"})
	}
	for _, path := range Candidates(in.Environ) {
		b, err := ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			continue
		}
		if err != nil {
			return path, nil, &Problem{Text: err.Error()}
		}
		return path, b, nil
	}
	return "", nil, nil
}

// named reads a file that somebody named. Only one that the command itself will write may be missing.
func (in Input) named(path string, from Origin) (string, []byte, *Problem) {
	b, err := ReadFile(path)
	switch {
	case err == nil:
		return path, b, nil
	case errors.Is(err, fs.ErrNotExist) && samePath(path, in.Own):
		return "", nil, nil
	default:
		return path, nil, &Problem{Text: err.Error(), From: from, Fix: "'orderctl config init' writes a commented one"}
	}
}

func samePath(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	x, errX := filepath.Abs(a)
	y, errY := filepath.Abs(b)
	return errX == nil && errY == nil && x == y
}

// ReadFile reads a small regular file. Directories, pipes and devices are refused before anything is read from them, so
// that it always returns.
func ReadFile(path string) ([]byte, error) {
	// O_NONBLOCK: the opening of a named pipe must not wait for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", clean(path), cause(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", clean(path), cause(err))
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: not a regular file", clean(path))
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", clean(path), cause(err))
	}
	if len(b) > maxFileSize {
		return nil, fmt.Errorf("read %s: larger than 1 MiB", clean(path))
	}
	return b, nil
}

// cause drops the path that *fs.PathError repeats.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// checkText refuses what is no UTF-8 text, and drops a byte order mark.
func checkText(b []byte) ([]byte, error) {
	if bytes.HasPrefix(b, []byte{0xff, 0xfe}) || bytes.HasPrefix(b, []byte{0xfe, 0xff}) {
		return nil, errors.New("the file is UTF-16; save it as UTF-8")
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(b) {
		return nil, errors.New("the file is not UTF-8")
	}
	return b, nil
}

// Find returns the path of the file that Load would read, whether it can be read or not; "" where there is none.
func Find(in Input) string {
	if in.Path != "" {
		return filepath.Clean(in.Path)
	}
	if path := environment(in.Environ)[EnvConfig]; path != "" {
		return filepath.Clean(path)
	}
	for _, path := range Candidates(in.Environ) {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}
