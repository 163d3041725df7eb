package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// idFile is the file of --ids. It is read twice, so what can be read only once, such as a pipe, is kept in a file of its own
// for the second time.
type idFile struct {
	path string
	kept string // path of the copy; empty: none
}

// each calls do for the lines that are not empty.
func (f *idFile) each(do func(string) error) (err error) {
	path := f.path
	if f.kept != "" {
		path = f.kept
	}
	file, err := os.Open(path)
	if err != nil {
		return &exitError{code: exitUsage, text: "--ids: " + cause(err).Error() + ": " + f.path, err: err}
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	switch {
	case err != nil:
		return fmt.Errorf("look at %s: %w", f.path, err)
	case info.IsDir():
		return exitWith(exitUsage, "--ids: "+f.path+" is a directory", "")
	case info.Mode().IsRegular():
		return idLines(file, f.path, do)
	}
	return f.keep(file, do)
}

// keep reads a pipe, and writes all of it into a file of its own.
func (f *idFile) keep(pipe io.Reader, do func(string) error) (err error) {
	kept, err := os.CreateTemp("", "orderctl-ids-*")
	if err != nil {
		return fmt.Errorf("keep the ids: %w", err)
	}
	f.kept = kept.Name()
	defer func() { err = errors.Join(err, kept.Close()) }()
	return idLines(io.TeeReader(pipe, kept), f.path, do)
}

// remove takes the copy away.
func (f *idFile) remove() error {
	if f.kept == "" {
		return nil
	}
	return os.Remove(f.kept)
}

func idLines(r io.Reader, path string, do func(string) error) error {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if id := strings.TrimSpace(lines.Text()); id != "" {
			if err := do(id); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}
