package edge

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync/atomic"
	"time"
)

// accessLog writes a JSON line a request. It never waits for the disk with a
// request: lines go through a buffer that is flushed every second, and are
// dropped, and counted, while the disk doesn't take them.
type accessLog struct {
	to  AccessLog
	log *slog.Logger

	lines   *slog.Logger
	queue   chan []byte
	dropped atomic.Uint64

	// of run alone
	file *os.File
	out  *bufio.Writer
	size int64
}

func newAccessLog(to AccessLog, log *slog.Logger) *accessLog {
	a := &accessLog{to: to, log: log, queue: make(chan []byte, 1024)}
	a.lines = slog.New(slog.NewJSONHandler(lineQueue{a}, &slog.HandlerOptions{ReplaceAttr: plainLine}))
	return a
}

// plainLine leaves out the level, which says nothing here.
func plainLine(groups []string, attr slog.Attr) slog.Attr {
	if len(groups) == 0 && attr.Key == slog.LevelKey {
		return slog.Attr{}
	}
	return attr
}

// lineQueue takes whole lines from the handler.
type lineQueue struct{ a *accessLog }

func (q lineQueue) Write(line []byte) (int, error) {
	select {
	case q.a.queue <- append([]byte(nil), line...):
	default:
		q.a.dropped.Add(1)
	}
	return len(line), nil
}

// run writes until ctx ends, and then what is left.
func (a *accessLog) run(ctx context.Context) error {
	flush := time.NewTicker(time.Second)
	defer flush.Stop()
	defer a.close()
	for {
		select {
		case line := <-a.queue:
			a.write(line)
		case <-flush.C:
			a.flush()
		case <-ctx.Done():
			for len(a.queue) > 0 {
				a.write(<-a.queue)
			}
			return nil
		}
	}
}

// write appends a line, to a new file if this one is full.
func (a *accessLog) write(line []byte) {
	if a.file != nil && a.size+int64(len(line)) > a.to.Size {
		a.close()
		a.rotate()
	}
	if a.file == nil && a.open() != nil {
		a.dropped.Add(1)
		return
	}
	if _, err := a.out.Write(line); err != nil {
		a.fail(err)
		return
	}
	a.size += int64(len(line))
}

func (a *accessLog) open() error {
	file, err := os.OpenFile(a.to.Path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		a.fail(err)
		return err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return err
	}
	a.file, a.size, a.out = file, info.Size(), bufio.NewWriterSize(file, 32<<10)
	return nil
}

// rotate moves each file one number up; the last is overwritten.
func (a *accessLog) rotate() {
	name := func(i int) string {
		if i == 0 {
			return a.to.Path
		}
		return fmt.Sprintf("%s.%d", a.to.Path, i)
	}
	for i := a.to.Keep; i > 0; i-- {
		if err := os.Rename(name(i-1), name(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			a.fail(err)
			os.Remove(name(i - 1)) // it must not grow for ever
		}
	}
}

// flush tells of dropped lines once the disk takes some again.
func (a *accessLog) flush() {
	if a.file == nil {
		return
	}
	if err := a.out.Flush(); err != nil {
		a.fail(err)
		return
	}
	if n := a.dropped.Swap(0); n > 0 {
		a.log.Warn("lines of the access log dropped", "lines", n)
	}
}

func (a *accessLog) fail(err error) {
	if a.file != nil {
		a.file.Close()
		a.file = nil
	}
	a.dropped.Add(1)
	a.log.Warn("access log not written", "path", a.to.Path, "err", err)
}

func (a *accessLog) close() {
	a.flush()
	if a.file != nil {
		a.file.Close()
		a.file = nil
	}
}
