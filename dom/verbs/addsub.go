package verbs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"b8s/cli"
	"b8s/control"
	"b8s/dom"
	"b8s/tunnel"
)

func addSub() *cobra.Command {
	req := dom.AddSubRequest{}
	cmd := &cobra.Command{
		Use:   "add-sub IPV4:IPV6:AUTH_TOKEN:WIREGUARD_PUBLIC_KEY -- COORDINATES NAME",
		Short: "Enrol a server as a sub",
		Long: `Run b8s sub run on the new server: it prints this command with everything but
NAME filled in. COORDINATES are LAT,LON in degrees, or auto: then they come from the
dom's own GeoLite data by the sub's address. With - for the first argument, the line is
read from stdin, and the token stays out of the shell's history.

It is safe to run it again, whatever was killed in between.`,
		Example: "  b8s dom add-sub 198.51.100.7:[2001:db8::7]:TOKEN:KEY -- -33.87,151.21 sydney\n" +
			"  b8s dom add-sub 198.51.100.7::TOKEN:KEY -- auto london\n" +
			"  b8s dom add-sub -",
		Args: cobra.RangeArgs(1, 3),
	}
	cmd.Flags().Uint16Var(&req.Port, "port", tunnel.DefaultPort, "the sub's WireGuard port")
	cmd.Flags().BoolVar(&req.NoDNS, "no-dns", false, "the sub does not answer DNS to the public")
	cmd.Flags().DurationVar(&req.Wait, "wait", 30*time.Second, "how long to wait until the sub answers")
	cli.JSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := readAddSub(cmd, args, &req); err != nil {
			return err
		}
		return withDom(cmd, func(ctx context.Context, c dom.Client) error {
			show := newFollower(cmd)
			r, err := c.AddSub(ctx, req, show.event)
			show.done()
			return printAddSub(cmd, r, err)
		})
	}
	return cmd
}

// readAddSub takes the three words of the line from the arguments, or from
// stdin, where the line may be pasted whole.
func readAddSub(cmd *cobra.Command, args []string, req *dom.AddSubRequest) error {
	if args[0] == "-" {
		line, err := bufio.NewReader(io.LimitReader(cmd.InOrStdin(), 4096)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		args = append(wordsOf(line), args[1:]...)
	}
	if len(args) != 3 {
		return control.Usage(fmt.Errorf("add-sub takes the sub's line, coordinates and a name; got %d words", len(args)),
			"b8s dom add-sub IPV4:IPV6:AUTH_TOKEN:WIREGUARD_PUBLIC_KEY -- COORDINATES NAME")
	}
	if _, err := tunnel.ParseTicket(args[0]); err != nil {
		return control.Usage(err, "copy the line as b8s sub run prints it on the sub")
	}
	req.Ticket, req.Coordinates, req.Name = args[0], args[1], args[2]
	return nil
}

// wordsOf drops what stands around the three words in a pasted line.
func wordsOf(line string) (words []string) {
	for _, w := range strings.Fields(line) {
		switch w {
		case "b8s", "dom", "add-sub", "--", "sudo":
		default:
			words = append(words, w)
		}
	}
	return words
}

// printAddSub ends with the table of what was checked; a check that failed is
// exit code 1.
func printAddSub(cmd *cobra.Command, r dom.AddSubResult, err error) error {
	if len(r.Checks) == 0 {
		return err
	}
	failed := err
	if printErr := cli.Print(cmd, r, func(w io.Writer) {
		rows := [][]string{{"CHECK", "", "RESULT"}}
		for _, c := range r.Checks {
			mark := "ok"
			if !c.OK {
				mark = "FAILED"
			}
			rows = append(rows, []string{c.What, mark, c.Result})
		}
		cli.Table(w, rows)
	}); printErr != nil {
		return printErr
	}
	for _, c := range r.Checks {
		if !c.OK && failed == nil {
			failed = cli.ErrSaid
		}
	}
	return failed
}
