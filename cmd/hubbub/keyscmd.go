package main

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/spf13/cobra"

	"github.com/hubbub-go/hubbub/cmd/hubbub/keyfile"
)

func (p *Program) keysCommand() *cobra.Command {
	var force bool
	create := &cobra.Command{
		Use:   "create",
		Short: "Make keys for a server that others can reach",
		Long: `Make a ring with one new key. Unlike the development keys that serve makes for itself, these may be used on any address.
With --force it takes the place of the keys that are there: everything they have signed ends.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			l, err := p.load(c)
			if err != nil {
				return err
			}
			f, path := keyfile.New(false), l.keyPath()
			if force {
				err = f.Replace(path)
			} else if err = f.Create(path); errors.Is(err, fs.ErrExist) {
				err = fmt.Errorf("keys: %s is there already; use --force to end everything it has signed, or keys rotate", path)
			}
			if err != nil {
				return fail(exitConfig, err)
			}
			_, err = fmt.Fprintf(p.Stdout, "made %s with key %d\n", path, f.Keys[0].ID)
			return fail(exitFailed, err)
		},
	}
	create.Flags().BoolVar(&force, "force", false, "replace the keys that are there")

	var keep int
	rotate := &cobra.Command{
		Use:   "rotate",
		Short: "Put a new key in front, which signs from the next start on",
		Long: `Put a new key in front. Servers sign with it after their next start, and go on accepting what the kept older keys have
signed. With several servers copy the file to all of them before any is restarted.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f, path, err := p.keys(c)
			if err != nil {
				return err
			}
			if keep < 0 || keep > 63 {
				return fmt.Errorf("--keep is %d, want 0 to 63", keep)
			}
			f.Rotate(keep)
			if err := f.Replace(path); err != nil {
				return fail(exitConfig, err)
			}
			_, err = fmt.Fprintf(p.Stdout, "key %d signs from the next start on, %d older kept\n", f.Keys[0].ID, len(f.Keys)-1)
			return fail(exitFailed, err)
		},
	}
	rotate.Flags().IntVar(&keep, "keep", 2, "older keys to keep")

	list := &cobra.Command{
		Use:   "list",
		Short: "List the ids of the keys, not their secrets",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f, path, err := p.keys(c)
			if err != nil {
				return err
			}
			kind := ""
			if f.Development {
				kind = " (development)"
			}
			fmt.Fprintf(p.Stdout, "%s%s\n", path, kind)
			for i, k := range f.Keys {
				role := "verifies"
				if i == 0 {
					role = "signs"
				}
				fmt.Fprintf(p.Stdout, "key %d, made %s, %s\n", k.ID, k.Created.Format(time.RFC3339), role)
			}
			return nil
		},
	}
	c := &cobra.Command{Use: "keys", Short: "Make, rotate or list the signing keys", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	for _, sub := range []*cobra.Command{create, rotate, list} {
		settingFlag(sub.Flags(), "data")
		c.AddCommand(sub)
	}
	return c
}

// keys reads the key file that the command line and the configuration name.
func (p *Program) keys(c *cobra.Command) (f *keyfile.File, path string, err error) {
	l, err := p.load(c)
	if err != nil {
		return nil, "", err
	}
	path = l.keyPath()
	f, err = keyfile.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("keys: there is no %s yet: hubbub serve makes one for development, hubbub keys create one for production", path)
	}
	return f, path, fail(exitConfig, err)
}
