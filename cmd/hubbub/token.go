package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/auth"
	"github.com/hubbub-go/hubbub/cmd/hubbub/keyfile"
	"github.com/hubbub-go/hubbub/systems/economy"
	"github.com/hubbub-go/hubbub/systems/notify"
)

// issuer signs and verifies the access tokens of this server.
func issuer(ring *hubbub.KeyRing) *auth.Issuer {
	return &auth.Issuer{Keys: ring, Issuer: "hubbub", Audience: "hubbub"}
}

func (p *Program) tokenCommand() *cobra.Command {
	var user, name string
	var roles, scopes []string
	var ttl time.Duration
	c := &cobra.Command{
		Use:   "token",
		Short: "Print an access token that the server with the same keys accepts",
		Long: `Print an access token that the server with the same --data or --config accepts. Whoever can read the keys can make one:
there is no session behind it, so it ends with its time to live only, or when its key is rotated away.

A user with an @ is an account of Play Economy: the token is one for its four services, with the roles of the account and the scopes
of the portal, from the issuer that was last served from the same --data or --config.`,
		Example: `  hubbub token --user ann --scope "notifications:publish" --ttl 1h
  hubbub token --user importer --scope "catalog:publish"
  hubbub token --user admin@play.com`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if user == "" {
				return errors.New("--user is missing, want a user id")
			}
			if ttl <= 0 {
				return fmt.Errorf("--ttl is %v, want more than 0s", ttl)
			}
			l, err := p.load(c)
			if err != nil {
				return err
			}
			if strings.Contains(user, "@") {
				if name != "" || len(roles) > 0 || len(scopes) > 0 {
					return errors.New("--name, --role and --scope are beside the e-mail of an account, which has its own, want --user and --ttl alone")
				}
				return p.accountToken(c.Context(), l, user, ttl)
			}
			f, created, err := keyfile.ReadOrCreate(l.keyPath())
			if err != nil {
				return fail(exitConfig, err)
			}
			if created {
				fmt.Fprintf(p.Stderr, "hubbub: made development keys in %s\n", l.keyPath())
			}
			ring, err := f.Ring()
			if err != nil {
				return fail(exitConfig, err)
			}
			claims := map[string]any{"sub": user}
			if name != "" {
				claims["name"] = name
			}
			if len(roles) > 0 {
				claims["role"] = roles
			}
			if list := strings.Fields(strings.Join(scopes, " ")); len(list) > 0 {
				claims["scope"] = strings.Join(list, " ")
			}
			token, err := issuer(ring).Sign(claims, ttl)
			if err != nil {
				return fail(exitFailed, err)
			}
			_, err = fmt.Fprintln(p.Stdout, token)
			return fail(exitFailed, err)
		},
	}
	flags := c.Flags()
	flags.StringVar(&user, "user", "", "user `id`, the claim sub; or the e-mail of an account of Play Economy")
	flags.StringVar(&name, "name", "", "`name` for people")
	flags.StringArrayVar(&roles, "role", nil, "`role` of the user; may be repeated")
	flags.StringArrayVar(&scopes, "scope", nil, "`scopes`, with blanks between them; may be repeated")
	flags.DurationVar(&ttl, "ttl", time.Hour, "how long the token is good")
	settingFlag(flags, "data")
	return c
}

// accountToken prints the token of an account of Play Economy.
func (p *Program) accountToken(ctx context.Context, l *loaded, email string, ttl time.Duration) error {
	database := l.Config.database(nil)
	database.Logger = newLogger(p.Stderr, l.Log.Level, l.Log.Format)
	token, err := economy.IssueToken(ctx, database, email, ttl)
	if err != nil {
		return fail(exitFailed, err)
	}
	_, err = fmt.Fprintln(p.Stdout, token)
	return fail(exitFailed, err)
}

func (p *Program) hashCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "hash",
		Short: "Read a password from the first line of the input and print its hash, for notify.users",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			line, err := bufio.NewReader(p.Stdin).ReadString('\n')
			password := strings.TrimRight(line, "\r\n")
			if password == "" {
				return fail(exitFailed, fmt.Errorf("no password on the input: %w", err))
			}
			hash, err := notify.HashPassword(password)
			if err != nil {
				return fail(exitFailed, err)
			}
			_, err = fmt.Fprintln(p.Stdout, hash)
			return fail(exitFailed, err)
		},
	}
}
