// Package console has the commands of the binary that are clients: of any SignalR server, this one or another, of either dialect.
package console

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
)

// Console is where the commands read, write and hear of signals. Its fields must not change once Commands was called.
type Console struct {
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Environ []string // NAME=value; NO_COLOR and TERM matter
	// Stop ends the command that runs with its first value. Nil: never.
	Stop <-chan os.Signal
	// Kill is called when that has come. It may be nil.
	Kill func()
	// Now is the time that is printed. Nil is time.Now.
	Now func() time.Time
}

// Commands returns the commands, in the order of the help. They fail with a *[Failure], or with an error about the command line.
func (c *Console) Commands() []*cobra.Command {
	return []*cobra.Command{
		c.connectCommand(), c.listenCommand(), c.sendCommand(), c.invokeCommand(), c.streamCommand(), c.uploadCommand(),
		c.respondCommand(), c.negotiateCommand(), c.pingCommand(), c.traceCommand(), c.doctorCommand(), c.conformanceCommand(),
	}
}

// GroupID is the group of the commands in the help of the root command.
const GroupID = "client"

// errInterrupted is the cause of a context that a signal has ended.
var errInterrupted = errors.New("interrupted")

// command returns a command whose run gets a session that ends with a signal.
func (c *Console) command(use, short, long, example string, args cobra.PositionalArgs, run func(s *session, args []string) error) *cobra.Command {
	s := &session{console: c}
	wanted := func(cmd *cobra.Command, list []string) error {
		if args(cmd, list) != nil {
			return fmt.Errorf("%s given, want hubbub %s (hubbub %s --help has examples)", plural(len(list), "argument"), use, cmd.Name())
		}
		return nil
	}
	cmd := &cobra.Command{Use: use, Short: short, Long: long + exitHelp, Example: example, Args: wanted, GroupID: GroupID,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(_ *cobra.Command, args []string) error {
			ctx, cancel := context.WithCancelCause(context.Background())
			done := make(chan struct{})
			defer func() { cancel(nil); <-done }()
			go func() {
				defer close(done)
				select {
				case <-c.Stop:
					if c.Kill != nil {
						c.Kill()
					}
					cancel(errInterrupted)
				case <-ctx.Done():
				}
			}()
			if err := s.prepare(ctx, args[0]); err != nil {
				return s.failed(err)
			}
			defer s.end()
			return s.failed(run(s, args))
		}}
	s.flags.add(cmd)
	s.cmd = cmd
	return cmd
}
