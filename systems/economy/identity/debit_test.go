package identity_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/contracts"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// publish sends a letter under a transport id.
func (p *place) publish(id string, l box.Letter) {
	p.t.Helper()
	body, err := json.Marshal(l)
	if err == nil {
		err = p.bus.Publish(p.t.Context(), &bus.Message{ID: id, Key: l.Key(), Topic: l.Topic(), Body: body})
	}
	if err != nil {
		p.t.Error(err) // not Fatal: any goroutine may publish
	}
}

// answered waits for so many answers about a purchase.
func (p *place) answered(topic string, purchase uuid.UUID, n int) {
	p.t.Helper()
	p.until(fmt.Sprintf("%d of %s", n, topic), func() bool { return p.count(topic, purchase) >= n })
	if got := p.count(topic, purchase); got != n {
		p.t.Errorf("%d of %s, want %d", got, topic, n)
	}
}

func (p *place) count(topic string, purchase uuid.UUID) (n int) {
	for _, m := range p.all(topic) {
		if m.Key == purchase.String() {
			n++
		}
	}
	return n
}

// refused waits for the fault of a debit, and returns its kind and text.
func (p *place) refused(purchase uuid.UUID) (kind, text string) {
	p.t.Helper()
	p.answered("Fault.DebitGil", purchase, 1)
	for _, m := range p.all("Fault.DebitGil") {
		var f box.Fault[contracts.DebitGil]
		if err := json.Unmarshal(m.Body, &f); err != nil {
			p.t.Fatal(err)
		}
		if m.Key == purchase.String() && f.Message.CorrelationID == purchase && f.Final {
			return f.Exceptions[0].ExceptionType, f.Reason()
		}
	}
	p.t.Fatal("no final fault")
	return "", ""
}

func (p *place) gil(id uuid.UUID) string {
	p.t.Helper()
	all, err := p.Users(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	for _, u := range all {
		if u.ID == id {
			return u.Gil.String()
		}
	}
	return "no account"
}

// TestDebit: gil is taken once for a purchase, however often the command comes (P10), and business faults are told at once
// (P2, P6).
func TestDebit(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		p := newPlace(t, database, nil)
		ann := p.player("ann@play.com")
		one := contracts.DebitGil{UserID: ann.ID, Gil: 10_500_000, CorrelationID: uuid.New()}
		id := rand.Text()
		p.publish(id, one)
		p.answered("GilDebited", one.CorrelationID, 1)
		if u := p.updated(ann.ID, 2); u.NewTotalGil.String() != "89.5" || u.Email != "ann@play.com" {
			t.Errorf("told %v", u)
		}
		p.publish(id, one) // the bus takes it for the same
		for range 3 {
			p.publish(rand.Text(), one)
		}
		p.answered("GilDebited", one.CorrelationID, 4)
		if got := p.gil(ann.ID); got != "89.5" {
			t.Errorf("gil %s after doubles, want 89.5", got)
		}

		much := contracts.DebitGil{UserID: ann.ID, Gil: 105 * contracts.OneGil, CorrelationID: uuid.New()}
		p.publish(rand.Text(), much)
		if kind, text := p.refused(much.CorrelationID); kind != "InsufficientFundsException" || text != fmt.Sprintf("Not enough gil to debit 105 from user %s", ann.ID) {
			t.Errorf("%s: %s", kind, text)
		}
		p.publish(rand.Text(), much)
		p.answered("Fault.DebitGil", much.CorrelationID, 2)

		nobody := contracts.DebitGil{UserID: uuid.New(), Gil: 1, CorrelationID: uuid.New()}
		p.publish(rand.Text(), nobody)
		if kind, text := p.refused(nobody.CorrelationID); kind != "UnknownUserException" || text != fmt.Sprintf("Unknown user '%s'", nobody.UserID) {
			t.Errorf("%s: %s", kind, text)
		}
		negative := contracts.DebitGil{UserID: ann.ID, Gil: -1, CorrelationID: uuid.New()}
		p.publish(rand.Text(), negative)
		if kind, _ := p.refused(negative.CorrelationID); kind != "InvalidAmountException" {
			t.Errorf("%s", kind)
		}

		all := contracts.DebitGil{UserID: ann.ID, Gil: 89_500_000, CorrelationID: uuid.New()}
		p.publish(rand.Text(), all)
		p.answered("GilDebited", all.CorrelationID, 1)
		free := contracts.DebitGil{UserID: ann.ID, CorrelationID: uuid.New()}
		p.publish(rand.Text(), free)
		p.answered("GilDebited", free.CorrelationID, 1)
		if got := p.gil(ann.ID); got != "0" {
			t.Errorf("gil %s, want 0", got)
		}
		if n := p.Stats().GilDebited; n != 3 {
			t.Errorf("%d debits counted, want 3", n)
		}
		p.dead(0)
	})
}

// dead checks how many letters were put away.
func (p *place) dead(want uint64) {
	p.t.Helper()
	if s := p.Box().Stats(); s.Buried != want || s.Failed != 0 {
		p.t.Errorf("%d letters buried, %d failed, want %d and none", s.Buried, s.Failed, want)
	}
}

// TestRefund: what was debited is given back once, and a refund that overtakes its debit keeps that from being done.
func TestRefund(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		p := newPlace(t, database, nil)
		ann, bob := p.player("ann@play.com"), p.player("bob@play.com")
		debit := contracts.DebitGil{UserID: ann.ID, Gil: 30_000_001, CorrelationID: uuid.New()}
		refund := contracts.RefundGil(debit)
		p.publish(rand.Text(), debit)
		p.answered("GilDebited", debit.CorrelationID, 1)
		for range 3 {
			p.publish(rand.Text(), refund)
		}
		p.answered("GilRefunded", debit.CorrelationID, 3)
		if u := p.updated(ann.ID, 3); u.NewTotalGil.String() != "100" || p.gil(ann.ID) != "100" {
			t.Errorf("told %v, gil %s, want 100", u, p.gil(ann.ID))
		}

		late := contracts.DebitGil{UserID: bob.ID, Gil: contracts.OneGil, CorrelationID: uuid.New()}
		p.publish(rand.Text(), contracts.RefundGil(late))
		p.answered("GilRefunded", late.CorrelationID, 1)
		p.publish(rand.Text(), late)
		if kind, text := p.refused(late.CorrelationID); kind != "PurchaseCalledOffException" || text == "" {
			t.Errorf("%s: %s", kind, text)
		}
		if got := p.gil(bob.ID); got != "100" {
			t.Errorf("gil %s, want 100", got)
		}

		gone := contracts.DebitGil{UserID: bob.ID, Gil: contracts.OneGil, CorrelationID: uuid.New()}
		p.publish(rand.Text(), gone)
		p.answered("GilDebited", gone.CorrelationID, 1)
		if a := p.do("DELETE", "/users/"+bob.ID.String(), p.token(adminEmail), ""); a.status != 204 {
			t.Fatalf("delete: status %d, %s", a.status, a.body)
		}
		p.publish(rand.Text(), contracts.RefundGil(gone))
		p.answered("GilRefunded", gone.CorrelationID, 1)
		after := contracts.DebitGil{UserID: bob.ID, Gil: contracts.OneGil, CorrelationID: uuid.New()}
		p.publish(rand.Text(), after)
		if kind, text := p.refused(after.CorrelationID); kind != "UnknownUserException" || text != fmt.Sprintf("Unknown user '%s'", bob.ID) {
			t.Errorf("%s: %s", kind, text)
		}
		p.dead(0)
	})
}

// TestDebitsAtOnce: many purchases of one player and an administrator who writes beside them lose nothing. Versions are told
// without a gap.
func TestDebitsAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		p := newPlace(t, database, nil)
		ann := p.player("ann@play.com")
		const n = 40
		var purchases []uuid.UUID
		for range n {
			purchases = append(purchases, uuid.New())
		}
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for _, id := range purchases {
				p.publish(rand.Text(), contracts.DebitGil{UserID: ann.ID, Gil: 1_250_000, CorrelationID: id})
			}
		}()
		if a := p.do("PUT", "/users/"+ann.ID.String(), p.token(adminEmail), `{"email":"new@play.com","gil":1000}`); a.status != 204 {
			t.Errorf("change beside debits: status %d, %s", a.status, a.body)
		}
		<-sent
		for _, id := range purchases {
			p.answered("GilDebited", id, 1)
		}
		last := p.updated(ann.ID, n+2)
		if last.Email != "new@play.com" || last.NewTotalGil.String() != p.gil(ann.ID) {
			t.Errorf("told %v last, gil %s", last, p.gil(ann.ID))
		}
		var versions []int64
		for _, m := range p.all("UserUpdated") {
			var u contracts.UserUpdated
			if err := json.Unmarshal(m.Body, &u); err != nil {
				t.Fatal(err)
			}
			if u.UserID == ann.ID {
				versions = append(versions, u.Version)
			}
		}
		slices.Sort(versions)
		for i, v := range versions {
			if v != int64(i+1) {
				t.Fatalf("versions %v, want each once", versions)
			}
		}
		p.dead(0)
	})
}
