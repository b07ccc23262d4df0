package sub

import (
	"bufio"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// diskSpace is what is free for this process and in all on path's file
// system, in bytes; zeros where it can't be told.
func diskSpace(path string) (free, total int64) {
	var st unix.Statfs_t
	if unix.Statfs(path, &st) != nil {
		return 0, 0
	}
	return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize)
}

// memoryFree is what programs can still have on this machine, in bytes; 0
// where it can't be told (only Linux tells).
func memoryFree() int64 { return procKiB("/proc/meminfo", "MemAvailable:") }

// memoryUsed is this process's resident memory, in bytes; 0 where it can't be
// told.
func memoryUsed() int64 { return procKiB("/proc/self/status", "VmRSS:") }

// procKiB reads a line "NAME   N kB" of a file in /proc.
func procKiB(path, name string) int64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if field := strings.Fields(lines.Text()); len(field) >= 2 && field[0] == name {
			n, err := strconv.ParseInt(field[1], 10, 64)
			if err != nil {
				return 0
			}
			return n << 10
		}
	}
	return 0
}
