package saga_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/hubbub-go/hubbub/systems/bus"
	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/saga"
	"github.com/hubbub-go/hubbub/systems/store"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

func TestMain(m *testing.M) {
	os.Exit(storetest.Main(m, func() error { return goleak.Find() }))
}

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// The letters of a trip: a flight is booked, then a room; each can be called off.
type (
	Wish struct{ ID, Town string }

	BookFlight   struct{ ID, Town string }
	FlightBooked struct{ ID string }
	CancelFlight struct{ ID string }
	FlightGone   struct{ ID string }

	BookRoom   struct{ ID string }
	RoomBooked struct{ ID string }
	CancelRoom struct{ ID string }
	RoomGone   struct{ ID string }
)

func (Wish) Topic() string         { return "Wish" }
func (BookFlight) Topic() string   { return "BookFlight" }
func (FlightBooked) Topic() string { return "FlightBooked" }
func (CancelFlight) Topic() string { return "CancelFlight" }
func (FlightGone) Topic() string   { return "FlightGone" }
func (BookRoom) Topic() string     { return "BookRoom" }
func (RoomBooked) Topic() string   { return "RoomBooked" }
func (CancelRoom) Topic() string   { return "CancelRoom" }
func (RoomGone) Topic() string     { return "RoomGone" }

func (l Wish) Key() string         { return l.ID }
func (l BookFlight) Key() string   { return l.ID }
func (l FlightBooked) Key() string { return l.ID }
func (l CancelFlight) Key() string { return l.ID }
func (l FlightGone) Key() string   { return l.ID }
func (l BookRoom) Key() string     { return l.ID }
func (l RoomBooked) Key() string   { return l.ID }
func (l CancelRoom) Key() string   { return l.ID }
func (l RoomGone) Key() string     { return l.ID }

// Trip is what the machine keeps.
type Trip struct{ ID, Town, Why string }

const (
	Flying  saga.State = "Flying"
	Staying saga.State = "Staying"
	Booked  saga.State = "Booked"
	Off     saga.State = "Off"
)

// trips is the machine of the tests.
type trips struct {
	*saga.Machine[Trip]
	wish saga.Event[Trip, Wish]
}

func newTrips(deadline time.Duration) *trips {
	m := saga.New[Trip]("trip")
	m.Resend, m.MaximumResend = 50*time.Millisecond, 200*time.Millisecond
	t := &trips{m, saga.On[Wish](m)}
	noFlight := saga.Commands(m, func(t *Trip) CancelFlight { return CancelFlight{t.ID} })
	noRoom := saga.Commands(m, func(t *Trip) CancelRoom { return CancelRoom{t.ID} })
	flight := saga.Commands(m, func(t *Trip) BookFlight { return BookFlight{t.ID, t.Town} }).UndoneBy(noFlight)
	room := saga.Commands(m, func(t *Trip) BookRoom { return BookRoom{t.ID} }).UndoneBy(noRoom)
	flown, grounded := saga.AnswerTo[FlightBooked](flight), saga.FaultOf(flight)
	housed, full := saga.AnswerTo[RoomBooked](room), saga.FaultOf(room)
	saga.AnswerTo[FlightGone](noFlight)
	saga.AnswerTo[RoomGone](noRoom)
	late := m.Timer("deadline", deadline)

	m.Initially(saga.When(t.wish).
		Then(func(_ context.Context, c *saga.Change[Trip], w Wish) error {
			c.Data = Trip{ID: w.ID, Town: w.Town}
			if w.Town == "Atlantis" {
				return box.Refuse("NoSuchTown", "there is no %s", w.Town)
			}
			return nil
		}).Send(flight).Schedule(late).TransitionTo(Flying).
		OnRefusal(func(_ context.Context, c *saga.Change[Trip], r *box.Refusal) error {
			c.Data.Why = r.Text
			return nil
		}, Off))
	m.During(Flying,
		saga.When(flown).Send(room).TransitionTo(Staying),
		saga.When(grounded).Then(why[BookFlight]).Compensate().TransitionTo(Off),
		saga.When(late).Compensate().TransitionTo(Off))
	m.During(Staying,
		saga.When(housed).TransitionTo(Booked),
		saga.When(full).Then(why[BookRoom]).Compensate().TransitionTo(Off),
		saga.When(late).Compensate().TransitionTo(Off))
	m.Finally(Booked, Off)
	return t
}

func why[M box.Letter](_ context.Context, c *saga.Change[Trip], f box.Fault[M]) error {
	c.Data.Why = f.Reason()
	c.Note(f.Reason())
	return nil
}

var queues = []bus.Queue{
	{Name: "agency", Topics: []string{"Wish", "FlightBooked", "FlightGone", "RoomBooked", "RoomGone", "Fault.BookFlight", "Fault.BookRoom", "Fault.CancelFlight", "Fault.CancelRoom"}},
	{Name: "others", Topics: []string{"BookFlight", "CancelFlight", "BookRoom", "CancelRoom"}},
}

// office is a machine at work; the test plays the others, by what it answers.
type office struct {
	*trips
	t     testing.TB
	bus   *bus.Bus
	box   *box.Box
	store *store.Store

	mu     sync.Mutex
	heard  []string // commands, in order
	answer map[string]box.Letter
}

// open opens an office; answer says what the others answer to a command, nothing by default.
func open(t *testing.T, database string, machine *trips, answer map[string]box.Letter) *office {
	t.Helper()
	o := &office{trips: machine, t: t, answer: answer}
	quiet := slog.New(slog.DiscardHandler)
	var err error
	if o.bus, err = bus.Open(t.Context(), bus.Config{Dir: t.TempDir(), Name: "trips", SyncInterval: time.Minute, Logger: quiet}, queues...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.bus.Close() })
	c := storetest.Config(t, database, "agency")
	c.Logger = quiet
	if o.store, err = store.Open(t.Context(), c, box.Migrations(saga.Migrations())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.store.Close() })
	if o.box, err = box.Open(t.Context(), box.Config{Store: o.store, Bus: o.bus, Logger: slog.New(slog.NewTextHandler(testLog{t}, nil))}); err != nil {
		t.Fatal(err)
	}
	h := &box.Handlers{}
	machine.Register(h)
	if err := o.box.Consume("agency", h); err != nil {
		t.Fatal(err)
	}
	if _, err := o.bus.Consume("others", nil, o.others); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { machine.Run(ctx, o.box) })
	t.Cleanup(func() {
		stop()
		work.Wait()
		o.box.Close()
	})
	return o
}

func (o *office) others(ctx context.Context, batch []*bus.Delivery) {
	for _, d := range batch {
		o.mu.Lock()
		o.heard = append(o.heard, d.Topic)
		answer := o.answer[d.Topic]
		o.mu.Unlock()
		d.Ack()
		if answer != nil {
			o.publish(answer)
		}
	}
}

func (o *office) answers(command string, l box.Letter) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answer[command] = l
}

var sent struct {
	sync.Mutex
	n int
}

func (o *office) publish(l box.Letter) {
	body, err := json.Marshal(l)
	if err != nil {
		o.t.Error(err)
		return
	}
	sent.Lock()
	sent.n++
	id := fmt.Sprint(sent.n)
	sent.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := o.bus.Publish(ctx, &bus.Message{ID: id, Key: l.Key(), Topic: l.Topic(), Body: body}); err != nil && !errors.Is(err, bus.ErrClosed) {
		o.t.Error(err)
	}
}

func (o *office) begin(id, town string) *saga.Instance[Trip] {
	o.t.Helper()
	var i *saga.Instance[Trip]
	if err := o.box.Tx(o.t.Context(), func(tx *box.Tx) (err error) {
		i, err = saga.Raise(o.t.Context(), tx, o.wish, Wish{id, town})
		return err
	}); err != nil {
		o.t.Fatal(err)
	}
	return i
}

func (o *office) becomes(id string, s saga.State) *saga.Instance[Trip] {
	o.t.Helper()
	var i *saga.Instance[Trip]
	eventually(o.t, "trip "+id+" is "+string(s), func() (done bool) {
		var err error
		if i, err = o.Load(o.t.Context(), o.store, id); err != nil {
			o.t.Fatal(err)
		}
		return i.State == s
	})
	return i
}

// commands returns the commands so far, each once, in their order.
func (o *office) commands() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var all []string
	for _, c := range o.heard {
		if !strings.Contains(strings.Join(all, " ")+" ", c+" ") {
			all = append(all, c)
		}
	}
	return strings.Join(all, " ")
}

// unanswered returns how many commands are still sent again.
func (o *office) unanswered() (n int) {
	o.t.Helper()
	if err := o.store.QueryRow(o.t.Context(), "SELECT count(*) FROM saga_command WHERE status = 'open'").Scan(&n); err != nil {
		o.t.Fatal(err)
	}
	return n
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("not in %s: %s", patience, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// testLog writes to the log of a test, as long as it runs.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	if l.t.Context().Err() == nil {
		l.t.Logf("%s", bytes.TrimSpace(p))
	}
	return len(p), nil
}

// all are answers that do everything.
func all(id string) map[string]box.Letter {
	return map[string]box.Letter{"BookFlight": FlightBooked{id}, "BookRoom": RoomBooked{id}, "CancelFlight": FlightGone{id}, "CancelRoom": RoomGone{id}}
}

func TestGoesWell(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		o := open(t, database, newTrips(time.Minute), all("1"))
		if i := o.begin("1", "Rome"); i.State != Flying || i.Version != 1 || i.Data.Town != "Rome" || i.Created.IsZero() {
			t.Errorf("began as %+v", i)
		}
		if i := o.becomes("1", Booked); i.Version != 3 || i.Updated.Before(i.Created) {
			t.Errorf("ended as %+v", i)
		}
		if got := o.commands(); got != "BookFlight BookRoom" {
			t.Errorf("commands %s", got)
		}
		if n := o.unanswered(); n != 0 {
			t.Errorf("%d commands are open", n)
		}
		var timers int
		if err := o.store.QueryRow(t.Context(), "SELECT count(*) FROM saga_timer").Scan(&timers); err != nil || timers != 0 {
			t.Errorf("%d timers, %v", timers, err)
		}
		var lines []string
		history, err := o.History(t.Context(), o.store, "1")
		for _, e := range history {
			lines = append(lines, e.Event+" "+string(e.State))
		}
		if got := strings.Join(lines, ", "); err != nil || got != "Wish Flying, FlightBooked Staying, RoomBooked Booked" {
			t.Errorf("history %s, %v", got, err)
		}
	})
}

func fault[M box.Letter](m M, text string, final bool) box.Fault[M] {
	return box.Fault[M]{Message: m, Exceptions: []box.Exception{{ExceptionType: "X", Message: text}}, Final: final}
}

func TestCompensation(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		for name, test := range map[string]struct {
			answer   map[string]box.Letter
			commands string
			why      string
		}{
			"what was refused is not undone": {map[string]box.Letter{"BookFlight": fault(BookFlight{ID: "1"}, "no seat", true)}, "BookFlight", "no seat"},
			"what may have been done is":     {map[string]box.Letter{"BookFlight": fault(BookFlight{ID: "1"}, "who knows", false)}, "BookFlight CancelFlight", "who knows"},
			"what was done is": {map[string]box.Letter{"BookFlight": FlightBooked{"1"}, "BookRoom": fault(BookRoom{"1"}, "no bed", true)},
				"BookFlight BookRoom CancelFlight", "no bed"},
			"last first": {map[string]box.Letter{"BookFlight": FlightBooked{"1"}, "BookRoom": fault(BookRoom{"1"}, "no key", false)},
				"BookFlight BookRoom CancelRoom CancelFlight", "no key"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				o := open(t, database, newTrips(time.Minute), test.answer)
				o.begin("1", "Rome")
				if i := o.becomes("1", Off); i.Data.Why != test.why {
					t.Errorf("because %q, want %q", i.Data.Why, test.why)
				}
				eventually(t, "commands are "+test.commands, func() bool { return o.commands() == test.commands })
				if !strings.Contains(test.commands, "Cancel") {
					return
				}
				eventually(t, "they are sent again until they are answered", func() bool { return o.Stats().Resent > 1 })
				o.answers("CancelFlight", FlightGone{"1"})
				o.answers("CancelRoom", fault(CancelRoom{"1"}, "cannot", true)) // an undoing command must be done
				rooms := strings.Count(test.commands, "CancelRoom")
				eventually(t, "the flight is confirmed and the room is not", func() bool { return o.unanswered() == rooms })
				o.answers("CancelRoom", RoomGone{"1"})
				eventually(t, "all is confirmed", func() bool { return o.unanswered() == 0 })
			})
		}
	})
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		o := open(t, database, newTrips(4*time.Second), map[string]box.Letter{"BookFlight": FlightBooked{"1"}, "CancelFlight": FlightGone{"1"}, "CancelRoom": RoomGone{"1"}})
		o.begin("1", "Rome")
		o.becomes("1", Off)
		eventually(t, "all is confirmed", func() bool { return o.unanswered() == 0 })
		if got := o.commands(); got != "BookFlight BookRoom CancelRoom CancelFlight" {
			t.Errorf("commands %s", got)
		}
		o.publish(RoomBooked{"1"})
		eventually(t, "it is noted as late", func() bool { return o.Stats().Late == 1 })
		o.becomes("1", Off)
	})
}

func TestUnansweredCommandIsSentAgain(t *testing.T) {
	t.Parallel()
	o := open(t, "sqlite", newTrips(time.Minute), map[string]box.Letter{})
	o.begin("1", "Rome")
	eventually(t, "it was sent again", func() bool { return o.Stats().Resent >= 3 })
	o.answers("BookFlight", FlightBooked{"1"})
	o.answers("BookRoom", RoomBooked{"1"})
	o.becomes("1", Booked)
	if got := o.commands(); got != "BookFlight BookRoom" {
		t.Errorf("commands %s", got)
	}
}

func TestRefusalAtOnce(t *testing.T) {
	t.Parallel()
	o := open(t, "sqlite", newTrips(time.Minute), map[string]box.Letter{})
	if i := o.begin("1", "Atlantis"); i.State != Off || i.Data.Why != "there is no Atlantis" {
		t.Errorf("began as %+v", i)
	}
	if n := o.unanswered(); n != 0 || o.commands() != "" {
		t.Errorf("%d commands are open, sent %q", n, o.commands())
	}
}

func TestStrayEvents(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		o := open(t, database, newTrips(time.Minute), map[string]box.Letter{})
		o.publish(FlightBooked{"nobody"})
		eventually(t, "an orphan", func() bool { return o.Stats().Orphan == 1 })
		o.begin("1", "Rome")
		o.publish(RoomBooked{"1"}) // before its flight
		eventually(t, "an early one", func() bool { return o.Stats().Early > 0 })
		if i := o.begin("1", "Oslo"); i.State != Flying || i.Data.Town != "Rome" || i.Version != 1 {
			t.Errorf("wished again: %+v", i)
		}
		o.publish(FlightBooked{"1"})
		o.becomes("1", Booked) // with the early one
		if s := o.Stats(); s.Double != 1 || s.Changed != 3 {
			t.Errorf("counts %+v, want one double and three changes", s)
		}
	})
}

func TestConflict(t *testing.T) {
	t.Parallel()
	o := open(t, "sqlite", newTrips(time.Minute), map[string]box.Letter{})
	o.begin("1", "Rome")
	machine := saga.New[Trip]("trip")
	touch := saga.On[Wish](machine)
	machine.During(Flying, saga.When(touch).Then(func(ctx context.Context, c *saga.Change[Trip], _ Wish) error {
		_, err := c.Tx.Exec(ctx, "UPDATE saga SET version = version + 1") // as another process would
		return err
	}))
	err := o.box.Tx(t.Context(), func(tx *box.Tx) error {
		_, err := saga.Raise(t.Context(), tx, touch, Wish{ID: "1"})
		return err
	})
	if !errors.Is(err, saga.ErrConflict) {
		t.Errorf("got %v, want ErrConflict", err)
	}
}

func TestDeclarationMistakesPanic(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(){
		"same event twice": func() {
			m := saga.New[Trip]("m")
			saga.On[Wish](m)
			saga.On[Wish](m)
		},
		"same branch twice": func() {
			m := saga.New[Trip]("m")
			e := saga.On[Wish](m)
			m.During(Off, saga.When(e), saga.When(e))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			f()
		})
	}
}

func TestCommandOfAnotherInstance(t *testing.T) {
	t.Parallel()
	m := saga.New[Trip]("wrong")
	wish := saga.On[Wish](m)
	flight := saga.Commands(m, func(*Trip) BookFlight { return BookFlight{ID: "another"} })
	m.Initially(saga.When(wish).Send(flight).TransitionTo(Flying))
	o := open(t, "sqlite", newTrips(time.Minute), map[string]box.Letter{})
	err := o.box.Tx(t.Context(), func(tx *box.Tx) error {
		_, err := saga.Raise(t.Context(), tx, wish, Wish{ID: "1"})
		return err
	})
	if err == nil || !strings.Contains(err.Error(), `key "another"`) {
		t.Errorf("got %v", err)
	}
}
