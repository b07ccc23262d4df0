// Package cli holds what all verbs share: exit codes, errors with their next
// step, output as text or JSON, progress lines, and the state folder's flag.
//
// Results go to stdout, talk to stderr.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"b8s/control"
	"b8s/state"
)

// Run executes the command tree with args until it is done or the process is
// told to end (SIGINT, SIGTERM), and returns the exit code: 0, 1 failed, 2
// wrong usage.
func Run(root *cobra.Command, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	prepare(root)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	code := exitCode(err)
	report(cmd, err, code)
	return code
}

// prepare makes every command of the tree answer wrong usage alike: flags and
// arguments that don't fit end with exit code 2 and the usage line.
func prepare(cmd *cobra.Command) {
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage{err} })
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usage{err}
			}
			return nil
		}
	}
	if cmd.HasSubCommands() && cmd.Run == nil && cmd.RunE == nil {
		cmd.Args = cobra.ArbitraryArgs
		cmd.RunE = needSubcommand
	}
	for _, sub := range cmd.Commands() {
		prepare(sub)
	}
}

// needSubcommand answers a group that is called without a verb, or with one
// that it doesn't know.
func needSubcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		cmd.SetOut(cmd.ErrOrStderr())
		cmd.Help()
		return usage{errors.New("a command is missing")}
	}
	err := fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		err = fmt.Errorf("%w: did you mean %s?", err, strings.Join(near, " or "))
	}
	return usage{err}
}

// usage marks an error of the command line itself.
type usage struct{ error }

func (u usage) ExitCode() int { return control.ExitUsage }

func exitCode(err error) int {
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return control.ExitFailed
}

// report prints the error, and below it the next step.
func report(cmd *cobra.Command, err error, code int) {
	w := cmd.ErrOrStderr()
	if !errors.Is(err, ErrSaid) {
		fmt.Fprintf(w, "b8s: %s\n", err)
	}
	var f *control.Fault
	switch {
	case errors.As(err, &f) && f.Hint != "":
		fmt.Fprintf(w, "  %s\n", strings.ReplaceAll(f.Hint, "\n", "\n  "))
	case errors.As(err, new(usage)):
		line := cmd.UseLine()
		if cmd.HasSubCommands() {
			line = cmd.CommandPath() + " COMMAND"
		}
		fmt.Fprintf(w, "  usage: %s\n  see:   %s --help\n", line, cmd.CommandPath())
	}
}

// ErrSaid ends a verb with exit code 1 when what it printed already says why.
var ErrSaid = errors.New("not as wished")

// Print writes v to the command's stdout: as JSON with --json, else by text.
func Print(cmd *cobra.Command, v any, text func(w io.Writer)) error {
	if asJSON, _ := cmd.Flags().GetBool("json"); asJSON {
		enc := json.NewEncoder(cmd.OutOrStdout())
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
	text(cmd.OutOrStdout())
	return nil
}

// JSONFlag gives cmd the flag that Print looks for.
func JSONFlag(cmd *cobra.Command) {
	cmd.Flags().Bool("json", false, "print the result as JSON")
}

// StateFlag gives a role's group the flag that StateDir reads.
func StateFlag(group *cobra.Command, role string) {
	group.PersistentFlags().String("state", "", "the "+role+"'s state folder (B8S_STATE; default "+defaultState(role)+")")
}

func defaultState(role string) string {
	dir, err := state.Default(role)
	if err != nil {
		return "none here"
	}
	return dir
}

// StateDir is the role's state folder: --state, else B8S_STATE, else the
// role's default.
func StateDir(cmd *cobra.Command, role string) (string, error) {
	if dir, _ := cmd.Flags().GetString("state"); dir != "" {
		return dir, nil
	}
	if dir := os.Getenv("B8S_STATE"); dir != "" {
		return dir, nil
	}
	return state.Default(role)
}
