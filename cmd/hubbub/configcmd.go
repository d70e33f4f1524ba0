package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (p *Program) configCommand() *cobra.Command {
	check := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check the configuration and name every problem with its line and column",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				p.file = args[0]
			}
			l, err := p.load(c)
			if err != nil {
				return err
			}
			for _, name := range l.unknown {
				fmt.Fprintf(p.Stderr, "hubbub: environment variable %s is no setting\n", name)
			}
			_, err = fmt.Fprintln(p.Stdout, "configuration is good")
			return fail(exitFailed, err)
		},
	}
	print := &cobra.Command{
		Use:   "print",
		Short: "Print the values in force, each with its explanation and variable, without secrets",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			l, err := p.load(c)
			if err != nil {
				return err
			}
			return fail(exitFailed, l.set.Print(p.Stdout))
		},
	}
	settingFlag(check.Flags(), "listen", "data", "database", "log-level", "log-format")
	settingFlag(print.Flags(), "listen", "data", "database", "log-level", "log-format")
	c := &cobra.Command{Use: "config", Short: "Check or print the configuration", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(check, print)
	return c
}
