package verbs

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"b8s/cli"
	"b8s/dom"
)

func publishRecords() *cobra.Command {
	var configPath string
	var dryRun, yes bool
	cmd := &cobra.Command{
		Use:   "records",
		Short: "Publish the zones, nameservers and sites of b8s.yaml",
		Long: `Reads b8s.yaml and its zone files, checks them, shows what changes, publishes
that, and waits until every sub serves it. Exit code 0 when all of them do; else
each sub that is away or behind is named, and follows by itself when it can.`,
		Example: "  b8s dom publish records --dry-run\n  b8s dom publish records",
		Args:    cobra.NoArgs,
	}
	wait := waitFlag(cmd)
	cmd.Flags().StringVar(&configPath, "config", "", "configuration file (default ./b8s.yaml, or the nearest above)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show what would change, and stop")
	cmd.Flags().BoolVar(&yes, "yes", false, "remove the zones that are not in b8s.yaml any more without asking")
	cli.JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		wish, err := readWish(configPath)
		if err != nil {
			return err
		}
		return withDom(cmd, func(ctx context.Context, c dom.Client) error {
			req := dom.PublishRequest{Wish: wish, DryRun: dryRun, Wait: *wait, RemoveZones: yes}
			show := newFollower(cmd)
			result, err := c.PublishRecords(ctx, req, show.event)
			show.done()
			if removed := result.Plan.RemovedZones(); err != nil && len(removed) > 0 && !yes && agree(cmd, removed) {
				req.RemoveZones = true
				result, err = c.PublishRecords(ctx, req, show.event)
				show.done()
			}
			return printPublish(cmd, result, dryRun, err)
		})
	}
	return cmd
}

// agree asks an operator at a terminal whether zones are to go from every sub.
func agree(cmd *cobra.Command, removed []string) bool {
	if !cli.IsTerminal(cmd.ErrOrStderr()) {
		return false
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "This takes %s off every sub. Type yes to go on: ", strings.Join(removed, ", "))
	answer, _ := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	return strings.TrimSpace(answer) == "yes"
}

// printPublish prints what a publish or an undo came to. With an error that isn't
// the verdict's there is no result to print.
func printPublish(cmd *cobra.Command, r dom.PublishResult, dryRun bool, err error) error {
	if err != nil {
		return err
	}
	if err := cli.Print(cmd, r, func(w io.Writer) {
		fmt.Fprintln(w, r.Plan.String())
		if !dryRun {
			printVerdict(w, r.Verdict)
		}
	}); err != nil {
		return err
	}
	return verdictError(r.Verdict, dryRun)
}
