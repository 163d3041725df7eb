package broker

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// partition is the folder of one partition on disk.
type partition struct {
	topic     string
	partition int32
	dir       string
}

// segment is one file of a log. It holds the offsets from base to that of the next segment.
type segment struct {
	base int64
	size int64
	path string
}

// partitions lists the partitions that have files. A log without any has none.
func partitions(dir string) ([]partition, error) {
	root := filepath.Join(dir, "partitions")
	entries, err := os.ReadDir(root)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list partitions: %w", err)
	}
	var all []partition
	for _, e := range entries {
		cut := strings.LastIndexByte(e.Name(), '-')
		if !e.IsDir() || cut < 0 {
			continue
		}
		n, err := strconv.ParseInt(e.Name()[cut+1:], 10, 32)
		topic, bad := url.PathUnescape(e.Name()[:cut])
		if err != nil || bad != nil {
			continue
		}
		all = append(all, partition{topic: topic, partition: int32(n), dir: filepath.Join(root, e.Name())})
	}
	return all, nil
}

// segments lists the segments of a partition by offset. Their names are numbers without leading zeros, so the order of
// the folder is not theirs.
func segments(dir string) ([]segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	var all []segment
	for _, e := range entries {
		base, err := strconv.ParseInt(strings.TrimSuffix(e.Name(), ".dat"), 10, 64)
		if err != nil || !strings.HasSuffix(e.Name(), ".dat") {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue // dropped meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("list segments: %w", err)
		}
		all = append(all, segment{base: base, size: info.Size(), path: filepath.Join(dir, e.Name())})
	}
	slices.SortFunc(all, func(a, b segment) int { return cmp.Compare(a.base, b.base) })
	return all, nil
}

func sizeOf(segs []segment) int64 {
	var n int64
	for _, s := range segs {
		n += s.size
	}
	return n
}

// Places in the head of a record batch.
const (
	batchHead    = 43
	batchLenAt   = 8
	batchMaxTime = 35
)

// newestRecord returns the highest record time of a segment, in Unix milliseconds. It reads the heads of the batches
// only.
func newestRecord(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("read segment: %w", err)
	}
	defer func() { _ = f.Close() }()
	var newest, at int64
	head := make([]byte, batchHead)
	for {
		if _, err := f.ReadAt(head, at); err != nil {
			if errors.Is(err, io.EOF) {
				return newest, nil
			}
			return 0, fmt.Errorf("read segment: %w", err)
		}
		size := int32(binary.BigEndian.Uint32(head[batchLenAt:])) //nolint:gosec // the sign is checked
		if size <= 0 {
			return 0, fmt.Errorf("read segment %s: batch of %d bytes at %d", path, size, at)
		}
		newest = max(newest, int64(binary.BigEndian.Uint64(head[batchMaxTime:]))) //nolint:gosec // signed on the wire
		at += batchLenAt + 4 + int64(size)
	}
}
