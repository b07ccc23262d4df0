package geolite

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// tries is how many attempts in a row may bring nothing.
const tries = 5

var errStalled = errors.New("the connection brought nothing for too long")

// final marks an error that another attempt can't cure.
type final struct{ error }

func (f final) Unwrap() error { return f.error }

// retry calls attempt until it succeeds, fails for good, or has failed tries
// times in a row without progress, pausing longer each time.
func (d *download) retry(ctx context.Context, attempt func() (progress bool, err error)) error {
	pause := d.Pause
	for failures := 1; ; failures++ {
		progress, err := attempt()
		if err == nil {
			return nil
		}
		if progress {
			failures, pause = 1, d.Pause
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if hopeless(err) {
			return err
		}
		if failures == tries {
			return fmt.Errorf("given up after %d attempts: %w", tries, err)
		}
		d.Log.Info("geolite download interrupted", "err", d.redact(err), "retry", pause)
		if err := wait(ctx, pause); err != nil {
			return err
		}
		pause *= 2
	}
}

func hopeless(err error) bool {
	var f final
	var answer *HTTPError
	return errors.As(err, &f) || errors.As(err, &answer) && answer.needsOperator()
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// because replaces a canceled request's error by the reason.
func because(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
