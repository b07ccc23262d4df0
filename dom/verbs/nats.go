package verbs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"b8s/control"
	"b8s/dom"
)

func natsCommand() *cobra.Command {
	var program string
	var writable bool
	cmd := &cobra.Command{
		Use:   "nats -- ARGS",
		Short: "Look inside the bus with the nats command",
		Long: `Opens the bus on a port of 127.0.0.1 for one command, with a one-time password
in its environment (NATS_URL, NATS_USER, NATS_PASSWORD), and closes it when the
command ends. Read only, unless --writable.`,
		Example: "  b8s dom nats -- kv ls\n" +
			"  b8s dom nats -- kv get records example.com --raw\n" +
			"  b8s dom nats --command sh -- -c 'nats kv watch status'",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := exec.LookPath(program)
			if err != nil {
				return control.Failed(fmt.Errorf("no command %q here", program),
					"install it:  go install github.com/nats-io/natscli/nats@v0.4.0\nor name another with --command")
			}
			return withDom(cmd, func(ctx context.Context, c dom.Client) error {
				return c.Nats(ctx, dom.NatsRequest{Writable: writable}, func(access dom.NatsAccess) error {
					return runNats(cmd, path, args, access)
				})
			})
		},
	}
	cmd.Flags().StringVar(&program, "command", "nats", "the command to run")
	cmd.Flags().BoolVar(&writable, "writable", false, "let the command change the bus")
	return cmd
}

// runNats runs the command with the way in as its environment, and ends with
// its exit code.
func runNats(cmd *cobra.Command, path string, args []string, access dom.NatsAccess) error {
	child := exec.CommandContext(cmd.Context(), path, args...)
	child.Stdin, child.Stdout, child.Stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "NATS_") {
			child.Env = append(child.Env, v)
		}
	}
	child.Env = append(child.Env, "NATS_CONTEXT=", "NATS_URL="+access.URL, "NATS_USER="+access.User, "NATS_PASSWORD="+access.Password)
	err := child.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &control.Fault{Message: fmt.Sprintf("%s ended with %d", path, exit.ExitCode()), Code: max(1, exit.ExitCode())}
	}
	return err
}
