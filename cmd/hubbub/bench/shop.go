package bench

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/economy/identity"
)

// shop is Play Economy as the load finds it: with its players and an item that is new.
type shop struct {
	job    *PurchaseJob
	web    *http.Client
	admin  string // token
	tokens []string
	ids    []string // of the players
	item   string
	price  contracts.Gil
	gil    []contracts.Gil // of each player before the load
}

// openShop makes what the load needs.
func openShop(ctx context.Context, j *PurchaseJob, log io.Writer) (*shop, error) {
	s := &shop{job: j, price: contracts.Gil(j.Price*float64(contracts.OneGil) + 0.5), web: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{
		MaxIdleConnsPerHost: 8, TLSClientConfig: &tls.Config{InsecureSkipVerify: j.Insecure}}}}
	if err := s.open(ctx, log); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *shop) close() { s.web.CloseIdleConnections() }

func email(i int) string { return fmt.Sprintf("player%d@bench.invalid", i) }

func (s *shop) open(ctx context.Context, log io.Writer) error {
	const ttl = 4 * time.Hour
	database := s.job.Database
	database.Name = "economy_identity"
	database.BusyTimeout = 30 * time.Second
	all, err := identity.IssueTokens(ctx, database, ttl, s.job.Admin)
	if err != nil {
		return err
	}
	s.admin = all[0]
	if err := s.register(ctx, log); err != nil {
		return err
	}
	emails := make([]string, s.job.Players)
	for i := range emails {
		emails[i] = email(i)
	}
	if s.tokens, err = identity.IssueTokens(ctx, database, ttl, emails...); err != nil {
		return err
	}
	if err := s.fund(ctx); err != nil {
		return err
	}
	return s.stock(ctx)
}

// account is a UserDto.
type account struct {
	ID    string        `json:"id"`
	Email string        `json:"email"`
	Gil   contracts.Gil `json:"gil"`
}

// players returns the accounts of ours by e-mail.
func (s *shop) players(ctx context.Context) (map[string]account, error) {
	var all []account
	if err := s.call(ctx, s.admin, http.MethodGet, "/identity-svc/users", nil, http.StatusOK, &all); err != nil {
		return nil, err
	}
	found := make(map[string]account, len(all))
	for _, a := range all {
		found[a.Email] = a
	}
	return found, nil
}

// register makes the accounts that are missing.
func (s *shop) register(ctx context.Context, log io.Writer) error {
	found, err := s.players(ctx)
	if err != nil {
		return err
	}
	var missing []string
	for i := range s.job.Players {
		if _, there := found[email(i)]; !there {
			missing = append(missing, email(i))
		}
	}
	if len(missing) > 0 {
		fmt.Fprintf(log, "registering %d players\n", len(missing))
	}
	return s.each(len(missing), func(i int) error {
		return s.call(ctx, "", http.MethodPost, "/identity-svc/register", map[string]string{"email": missing[i], "password": "only for the load"},
			http.StatusCreated, nil)
	})
}

// fund gives every player what the load will spend.
func (s *shop) fund(ctx context.Context) error {
	found, err := s.players(ctx)
	if err != nil {
		return err
	}
	each := contracts.Gil(s.job.purchases()/s.job.Players+10) * s.price
	if each > identity.MaximumGil {
		return fmt.Errorf("a player would spend %s gil, want at most %s: take a lower price", each, identity.MaximumGil)
	}
	s.ids = make([]string, s.job.Players)
	var poor []account
	for i := range s.ids {
		a := found[email(i)]
		if s.ids[i] = a.ID; a.Gil < each {
			a.Gil = each
			poor = append(poor, a)
		}
	}
	return s.each(len(poor), func(i int) error {
		return s.call(ctx, s.admin, http.MethodPut, "/identity-svc/users/"+poor[i].ID, map[string]any{"email": poor[i].Email, "gil": poor[i].Gil},
			http.StatusNoContent, nil)
	})
}

// stock puts a new item into the catalog and waits until all services sell it: until the first one has bought it.
func (s *shop) stock(ctx context.Context) error {
	var item struct {
		ID string `json:"id"`
	}
	if err := s.call(ctx, s.admin, http.MethodPost, "/catalog-svc/items", map[string]any{
		"name": "Bench " + time.Now().UTC().Format(time.RFC3339), "description": "Bought by a load", "price": s.price}, http.StatusCreated, &item); err != nil {
		return err
	}
	s.item = item.ID
	limit, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for bought := false; !bought; {
		var err error
		if bought, err = s.try(limit); err != nil {
			return err
		}
	}
	found, err := s.players(ctx)
	if err != nil {
		return err
	}
	s.gil = make([]contracts.Gil, s.job.Players)
	for i := range s.gil {
		s.gil[i] = found[email(i)].Gil
	}
	return nil
}

// try buys one item and reports whether that was completed.
func (s *shop) try(ctx context.Context) (bool, error) {
	prefix := newPrefix()
	id := prefix + "00000000"
	body := map[string]any{"itemId": s.item, "quantity": 1, "idempotencyId": id}
	if err := s.call(ctx, s.tokens[0], http.MethodPost, "/trading-svc/purchase", body, http.StatusAccepted, nil); err != nil {
		return false, err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var status struct {
			State string `json:"state"`
		}
		if err := s.call(ctx, s.tokens[0], http.MethodGet, "/trading-svc/purchase/status/"+id, nil, http.StatusOK, &status); err != nil {
			return false, err
		}
		if status.State == "Completed" || status.State == "Faulted" {
			return status.State == "Completed", nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false, fmt.Errorf("the first purchase is %s: %w", status.State, ctx.Err())
		}
	}
}

// each calls f for 0 to n-1, a few at a time, and returns the first error.
func (s *shop) each(n int, f func(i int) error) error {
	var next atomic.Int64
	var work sync.WaitGroup
	errs := make([]error, 8)
	for w := range errs {
		work.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && errs[w] == nil; i = int(next.Add(1)) - 1 {
				errs[w] = f(i)
			}
		})
	}
	work.Wait()
	return errors.Join(errs...)
}

// call asks the server; answer may be nil.
func (s *shop) call(ctx context.Context, token, method, path string, body any, want int, answer any) error {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(ctx, method, s.job.URL+path, content)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := s.web.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if res.StatusCode != want {
		return fmt.Errorf("%s %s was answered %q with %.200s, want %d", method, path, res.Status, said, want)
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(said, answer)
}

// audit compares what the players have with what they were told.
func (s *shop) audit(ctx context.Context, r *rush, report *PurchaseReport) error {
	found, err := s.players(ctx)
	if err != nil {
		return err
	}
	got := make([]int64, s.job.Players)
	if err := s.each(s.job.Players, func(i int) error {
		var items []struct {
			CatalogItemID string `json:"catalogItemId"`
			Quantity      int64  `json:"quantity"`
		}
		if err := s.call(ctx, s.admin, http.MethodGet, "/inventory-svc/items?userId="+s.ids[i], nil, http.StatusOK, &items); err != nil {
			return err
		}
		for _, one := range items {
			if strings.EqualFold(one.CatalogItemID, s.item) {
				got[i] += one.Quantity
			}
		}
		return nil
	}); err != nil {
		return err
	}
	got[0]-- // bought before the load
	told := r.completed()
	var before, after, spent contracts.Gil
	for i := range got {
		left := found[email(i)].Gil
		before, after, spent = before+s.gil[i], after+left, spent+contracts.Gil(got[i])*s.price
		if got[i] != told[i] || left != s.gil[i]-contracts.Gil(told[i])*s.price {
			report.fault("player %d was told of %d purchases of %s, has %d items, and had %s gil of which %s are left", i, told[i], s.price, got[i], s.gil[i], left)
		}
	}
	f := &report.Figures
	f.GilBefore, f.GilAfter, f.Spent = inGil(before), inGil(after), inGil(spent)
	if before != after+spent {
		report.fault("players had %s gil, spent %s and have %s", before, spent, after)
	}
	return nil
}

func inGil(g contracts.Gil) float64 { return float64(g) / float64(contracts.OneGil) }
