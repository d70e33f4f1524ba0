package relay

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/hubbub-go/hubbub/systems/store"
)

// validWebhook says what is wrong with the address of a webhook.
func validWebhook(text string) error {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return &Invalid{"webhook is empty, want an address"}
	case err != nil || strings.ContainsRune(text, 0):
		return &Invalid{fmt.Sprintf("webhook %q cannot be read", clip(text))}
	case u.Scheme != "http" && u.Scheme != "https":
		return &Invalid{fmt.Sprintf("webhook %q: want http:// or https://", clip(text))}
	case u.Hostname() == "":
		return &Invalid{fmt.Sprintf("webhook %q has no host", clip(text))}
	case u.User != nil:
		return &Invalid{fmt.Sprintf("webhook of host %q has a user in it, want none: the secret signs the calls", clip(u.Hostname()))}
	}
	return nil
}

// SubscribeWebhook lets a webhook hear of an event: address gets a POST with eventguid and eventcookie as members of a JSON object,
// signed with secret unless that is empty. The last cookie and secret of an address and an eventguid count; a blank cookie, or
// [EndSubscription], ends the subscription, and one that there is not is no error. It is kept over restarts. It fails with an
// *[Invalid] for texts that cannot be used, and past the limit.
func (s *System) SubscribeWebhook(ctx context.Context, user, guid, cookie, address, secret string) error {
	err := s.validGuid(guid)
	if err == nil {
		err = validWebhook(address)
	}
	most := s.config.Limits.CookieBytes
	switch {
	case err != nil:
	case len(cookie) > most:
		err = &Invalid{fmt.Sprintf("eventcookie has %d bytes, want at most %d", len(cookie), most)}
	case len(address) > mostAddress:
		err = &Invalid{fmt.Sprintf("webhook has %d bytes, want at most %d", len(address), mostAddress)}
	case len(secret) > mostAddress || strings.ContainsRune(secret, 0):
		err = &Invalid{fmt.Sprintf("secret has %d bytes, want at most %d, none of them zero", len(secret), mostAddress)}
	}
	if err != nil {
		return err
	}
	if ends(cookie) {
		return s.endWebhook(ctx, guid, address)
	}
	s.courier.some.Store(true)
	return s.store.Tx(ctx, func(tx *store.Tx) error {
		var n int
		err := tx.QueryRow(ctx, "SELECT count(*) FROM webhook WHERE NOT (url = ? AND guid = ?)", address, []byte(guid)).Scan(&n)
		if err != nil {
			return err
		}
		if n >= s.config.Limits.Webhooks {
			return &Invalid{fmt.Sprintf("there are %d subscriptions of webhooks, the limit", n)}
		}
		_, err = tx.Exec(ctx, `INSERT INTO webhook (url, guid, cookie, secret, user_id, created) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (url, guid) DO UPDATE SET cookie = excluded.cookie, secret = excluded.secret, user_id = excluded.user_id`,
			address, []byte(guid), []byte(cookie), secret, user, millis(s.now()))
		return err
	})
}

// mostAddress bounds the address and the secret of a webhook, in bytes.
const mostAddress = 4096

func (s *System) endWebhook(ctx context.Context, guid, address string) error {
	return s.store.Tx(ctx, func(tx *store.Tx) error {
		for _, q := range []string{"DELETE FROM webhook WHERE url = ? AND guid = ?", "DELETE FROM delivery WHERE url = ? AND guid = ?"} {
			if _, err := tx.Exec(ctx, q, address, []byte(guid)); err != nil {
				return err
			}
		}
		return nil
	})
}

// post is what a webhook has to get.
type post struct{ url, guid, body string }

// wanted returns what webhooks have to get of triggers, in their order, and counts it in them.
func (c *courier) wanted(ctx context.Context, list []*firing) ([]post, error) {
	if none, err := c.none(ctx); none || err != nil {
		return nil, err
	}
	marks, args := guidsOf(list)
	rows, err := c.s.store.Query(ctx, "SELECT url, guid, cookie FROM webhook WHERE guid IN ("+marks+")", args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	byGuid := make(map[string][]post)
	for rows.Next() {
		var p post
		var guid, cookie []byte
		if err := rows.Scan(&p.url, &guid, &cookie); err != nil {
			return nil, err
		}
		p.guid = string(guid)
		if p.body, err = postBody(p.guid, string(cookie)); err != nil {
			return nil, err
		}
		byGuid[p.guid] = append(byGuid[p.guid], p)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	var all []post
	for _, f := range list {
		f.heard += len(byGuid[f.guid])
		all = append(all, byGuid[f.guid]...)
	}
	return all, nil
}

// none reports whether there are certainly no webhooks. Only one process uses a SQLite file, so it need not be asked again; other
// nodes may add webhooks to PostgreSQL at any time.
func (c *courier) none(ctx context.Context) (bool, error) {
	if c.some.Load() || c.s.store.Database() != "sqlite" {
		return false, nil
	}
	if c.empty {
		return true, nil
	}
	var n int
	if err := c.s.store.QueryRow(ctx, "SELECT count(*) FROM webhook").Scan(&n); err != nil {
		return false, err
	}
	if n > 0 {
		c.some.Store(true)
	}
	c.empty = n == 0
	return false, nil
}

// postBody returns the body of a call.
func postBody(guid, cookie string) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(struct {
		Guid   string `json:"eventguid"`
		Cookie string `json:"eventcookie"`
	}{guid, cookie})
	return strings.TrimSuffix(b.String(), "\n"), err
}

// scanTexts reads rows of one text.
func scanTexts(rows *sql.Rows, err error) ([]string, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var t string
		if err := rows.Scan(&t); err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, rows.Err()
}
