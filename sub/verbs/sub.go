// Package verbs holds the commands on a sub, one file a verb.
package verbs

import (
	"errors"

	"github.com/spf13/cobra"

	"b8s/cli"
	"b8s/control"
	"b8s/sub"
)

// Command is the group "b8s sub".
func Command() *cobra.Command {
	group := &cobra.Command{
		Use:   "sub",
		Short: "The edge server: run it, and see what it serves",
	}
	cli.StateFlag(group, "sub")
	group.AddCommand(run(), status(), token())
	return group
}

// client is that of the sub on the command's state folder.
func client(cmd *cobra.Command) (sub.Client, error) {
	dir, err := cli.StateDir(cmd, "sub")
	return sub.Client{State: dir}, err
}

// hint adds the next step to the error of a sub that does not run.
func hint(c sub.Client, err error) error {
	if errors.Is(err, control.ErrNoDaemon) {
		return control.Failed(errors.New("no sub runs on "+c.State), "start it:  systemctl start b8s-sub   or   b8s sub run --state "+c.State)
	}
	return err
}
