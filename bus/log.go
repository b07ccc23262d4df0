package bus

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// logger hands the inner server's lines to slog: its notices (one for each
// start and stream) as debug, the rest as they are.
type logger struct {
	log  *slog.Logger
	mu   sync.Mutex
	last string // the newest fatal line
}

func (l *logger) Noticef(format string, v ...any) {
	l.log.Debug(fmt.Sprintf(format, v...), "part", "nats")
}
func (l *logger) Warnf(format string, v ...any) {
	l.log.Warn(fmt.Sprintf(format, v...), "part", "nats")
}
func (l *logger) Errorf(format string, v ...any) {
	l.log.Error(fmt.Sprintf(format, v...), "part", "nats")
}
func (l *logger) Debugf(string, ...any) {}
func (l *logger) Tracef(string, ...any) {}

// Fatalf keeps the line for who started the server; it does not exit.
func (l *logger) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = fmt.Sprintf(format, v...)
}

func (l *logger) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == "" {
		return errors.New("the message server ended without a reason")
	}
	return errors.New(l.last)
}
