package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/systems/store"
)

// Webhook is a registered URL that notifications are posted to.
type Webhook struct {
	ID  string `json:"id"`
	URL string `json:"url"`
	// HasSecret says whether calls are signed. The secret itself is never shown again.
	HasSecret bool `json:"hasSecret"`
	Subscription
	CreatedBy string `json:"createdBy"`
	CreatedAt Time   `json:"createdAt"`
}

// Parked is a notification that a webhook did not take.
type Parked struct {
	ID             string          `json:"id"`
	WebhookID      string          `json:"webhookId"`
	NotificationID string          `json:"notificationId"`
	Tries          int             `json:"tries"`
	Error          string          `json:"error"`
	CreatedAt      Time            `json:"createdAt"`
	Notification   json.RawMessage `json:"notification"`
}

var errTooManyWebhooks = bad("", "there are as many webhooks as there may be")

// checkURL returns what is wrong with the address of a webhook.
func checkURL(text string) *badValue {
	if text == "" {
		return required("url")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return bad("url", "url %q cannot be read", clip(text))
	case u.Scheme != "http" && u.Scheme != "https":
		return bad("url", "url %q: want http:// or https://", clip(text))
	case u.Hostname() == "":
		return bad("url", "url %q has no host", clip(text))
	case u.User != nil:
		return bad("url", "url of host %q has a user in it, want none: the secret signs the calls", clip(u.Hostname()))
	}
	return nil
}

// addWebhook stores a webhook of a user, with the rights that the user has now.
func (s *System) addWebhook(ctx context.Context, u *hubbub.User, address, secret string, f *filter) (*Webhook, error) {
	w := &Webhook{ID: newID(), URL: address, HasSecret: secret != "", Subscription: f.subscription(),
		CreatedBy: identity(u).User, CreatedAt: Time{s.now()}}
	filterText, err := encode(w.Subscription)
	if err != nil {
		return nil, err
	}
	rights := []string{}
	for _, right := range s.index.rights {
		if hasRight(u, right) {
			rights = append(rights, right)
		}
	}
	rightsText, err := encode(rights)
	if err != nil {
		return nil, err
	}
	err = s.store.Tx(ctx, func(tx *store.Tx) error {
		var n int
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM webhook").Scan(&n); err != nil {
			return err
		}
		if n >= s.config.Limits.Webhooks {
			return invalid(errTooManyWebhooks)
		}
		_, err := tx.Exec(ctx, "INSERT INTO webhook (id, url, secret, filter, rights, created_by, created) VALUES (?, ?, ?, ?, ?, ?, ?)",
			w.ID, w.URL, secret, string(filterText), string(rightsText), w.CreatedBy, millis(w.CreatedAt.Time))
		return err
	})
	if err != nil {
		return nil, err
	}
	return w, s.webhooksChanged(ctx)
}

// webhooksChanged makes this node and the others see the webhooks as they are now.
func (s *System) webhooksChanged(ctx context.Context) error {
	if err := s.loadWebhooks(ctx); err != nil {
		return err
	}
	s.tell(ctx, &nodeMessage{Kind: kindWebhooks})
	return nil
}

// loadWebhooks puts what webhooks want into their index. One load at a time, or an older one could come last.
func (s *System) loadWebhooks(ctx context.Context) error {
	s.loading.Lock()
	defer s.loading.Unlock()
	rows, err := s.store.Query(ctx, "SELECT id, filter, rights FROM webhook")
	if err != nil {
		return fmt.Errorf("load webhooks: %w", err)
	}
	defer rows.Close()
	fresh := newIndex(s.hooks.rights)
	for rows.Next() {
		var id, filterText, rightsText string
		if err := rows.Scan(&id, &filterText, &rightsText); err != nil {
			return fmt.Errorf("load webhooks: %w", err)
		}
		filters, err := s.parseFilters([]byte("[" + filterText + "]"))
		if err != nil {
			return fmt.Errorf("load webhook %s: %w", id, err)
		}
		var rights []string
		if err := json.Unmarshal([]byte(rightsText), &rights); err != nil {
			return fmt.Errorf("load webhook %s: %w", id, err)
		}
		has := make(map[string]bool)
		for _, r := range rights {
			has[r] = true
		}
		fresh.put(id, func(right string) bool { return has[right] })
		for _, f := range filters {
			if err := fresh.subscribe(id, f, s.config.Limits); err != nil {
				return fmt.Errorf("load webhook %s: %w", id, err)
			}
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("load webhooks: %w", err)
	}
	s.hooks.replace(fresh)
	return nil
}

// webhooks returns the registered webhooks, oldest first.
func (s *System) webhooks(ctx context.Context) ([]Webhook, error) {
	rows, err := s.store.Query(ctx, "SELECT id, url, secret <> '', filter, created_by, created FROM webhook ORDER BY created, id")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []Webhook{}
	for rows.Next() {
		var w Webhook
		var text string
		var created int64
		if err := rows.Scan(&w.ID, &w.URL, &w.HasSecret, &text, &w.CreatedBy, &created); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(text), &w.Subscription); err != nil {
			return nil, err
		}
		w.CreatedAt = fromMillis(created)
		all = append(all, w)
	}
	return all, rows.Err()
}

// removeWebhook removes a webhook and what it has not got; false if there is none.
func (s *System) removeWebhook(ctx context.Context, id string) (bool, error) {
	var n int64
	err := s.store.Tx(ctx, func(tx *store.Tx) error {
		var err error
		if n, err = tx.Exec(ctx, "DELETE FROM webhook WHERE id = ?", id); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "DELETE FROM delivery WHERE webhook = ?", id)
		return err
	})
	if err != nil || n == 0 {
		return false, err
	}
	return true, s.webhooksChanged(ctx)
}

// parked returns the parked list, oldest first, at most 1000.
func (s *System) parked(ctx context.Context) ([]Parked, error) {
	rows, err := s.store.Query(ctx, `SELECT seq, webhook, notification, tries, error, created, body FROM delivery WHERE parked
		ORDER BY seq LIMIT 1000`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	all := []Parked{}
	for rows.Next() {
		var p Parked
		var seq, created int64
		var body string
		if err := rows.Scan(&seq, &p.WebhookID, &p.NotificationID, &p.Tries, &p.Error, &created, &body); err != nil {
			return nil, err
		}
		p.ID, p.CreatedAt, p.Notification = fmt.Sprint(seq), fromMillis(created), json.RawMessage(body)
		all = append(all, p)
	}
	return all, rows.Err()
}

// retryParked puts a parked delivery back to where it was in the queue of its webhook; false if there is none.
func (s *System) retryParked(ctx context.Context, seq int64) (bool, error) {
	var webhook string
	err := s.store.Tx(ctx, func(tx *store.Tx) error {
		list, err := texts(tx.Query(ctx, "UPDATE delivery SET parked = FALSE, tries = 0, due = 0, lease = 0 WHERE seq = ? AND parked RETURNING webhook", seq))
		webhook = strings.Join(list, "")
		return err
	})
	if err != nil || webhook == "" {
		return false, err
	}
	s.courier.wake(webhook)
	return true, nil
}

// dropParked removes a parked delivery; false if there is none.
func (s *System) dropParked(ctx context.Context, seq int64) (bool, error) {
	n, err := s.store.Exec(ctx, "DELETE FROM delivery WHERE seq = ? AND parked", seq)
	return n > 0, err
}

// trimWebhooks removes the oldest of what webhooks have waiting or parked beyond the limits.
func (s *System) trimWebhooks(ctx context.Context) error {
	ids, err := texts(s.store.Query(ctx, "SELECT id FROM webhook"))
	if err != nil {
		return err
	}
	for _, id := range ids {
		for parked, most := range map[bool]int{false: s.config.Webhooks.MostQueued, true: s.config.Webhooks.MostParked} {
			n, err := s.store.Exec(ctx, `DELETE FROM delivery WHERE webhook = ? AND parked = ? AND seq <=
				(SELECT seq FROM delivery WHERE webhook = ? AND parked = ? ORDER BY seq DESC LIMIT 1 OFFSET ?)`, id, parked, id, parked, most)
			if err != nil {
				return err
			}
			if n > 0 {
				s.log.Warn("notify: a webhook has too much waiting, the oldest goes", "webhook", id, "parked", parked, "removed", n)
			}
		}
	}
	return nil
}
