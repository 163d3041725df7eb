package main

import (
	"math"
	"runtime/debug"
	"strconv"
	"strings"

	"commerce.internal/orderctl/internal/config"
)

// tuneMemory sets the garbage collector for commands that move many orders: fewer collections where the user has not
// said otherwise, and a limit below that of the container, so that the kernel does not end the process.
func (a *app) tuneMemory() {
	percent, limit := memoryPlan(a.env.lookup, config.ReadFile)
	if percent > 0 {
		debug.SetGCPercent(percent)
	}
	if limit > 0 {
		debug.SetMemoryLimit(limit)
	}
}

// memoryPlan decides; 0 leaves a setting alone.
func memoryPlan(lookup func(string) string, read func(string) ([]byte, error)) (percent int, limit int64) {
	if lookup("GOGC") == "" {
		percent = 400
	}
	if lookup("GOMEMLIMIT") != "" {
		return percent, 0
	}
	for _, file := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		b, err := read(file)
		if err != nil {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
		if err != nil || n <= 0 || n > math.MaxInt64/2 { // "max", and the huge number of cgroup v1
			return percent, 0
		}
		return percent, n / 10 * 8
	}
	return percent, 0
}
