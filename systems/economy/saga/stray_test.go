package saga_test

import (
	"context"
	"testing"
	"time"

	"github.com/hubbub-go/hubbub/systems/bus/box"
	"github.com/hubbub-go/hubbub/systems/economy/saga"
	"github.com/hubbub-go/hubbub/systems/store/storetest"
)

// A timer that is due in a state without a branch for it comes again later, and one that fails too; neither holds up those of
// others.
func TestTimersDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		m := saga.New[Trip]("trip")
		wish, flown := saga.On[Wish](m), saga.On[FlightBooked](m)
		nap, fall := m.Timer("nap", time.Millisecond), m.Timer("fall", time.Millisecond)
		copyWish := func(_ context.Context, c *saga.Change[Trip], w Wish) error {
			c.Data = Trip{ID: w.ID, Town: w.Town}
			if w.Town == "Oslo" {
				return box.Refuse("Near", "not by air")
			}
			return nil
		}
		m.Initially(saga.When(wish).Schedule(fall).Schedule(nap).Then(copyWish).TransitionTo(Flying).
			OnRefusal(func(context.Context, *saga.Change[Trip], *box.Refusal) error { return nil }, Staying))
		m.During(Flying, // nobody naps
			saga.When(flown).TransitionTo(Staying),
			saga.When(fall).Then(func(context.Context, *saga.Change[Trip], saga.Due) error { panic("fallen") }))
		m.During(Staying, saga.When(nap).TransitionTo(Off), saga.When(fall).TransitionTo(Off))
		m.Finally(Off)
		o := open(t, database, &trips{m, wish}, map[string]box.Letter{})
		o.begin("1", "Rome")
		eventually(t, "its timers have been looked at", func() bool { return o.Stats().Early > 0 })
		o.begin("2", "Oslo")
		o.becomes("2", Off)
		o.publish(FlightBooked{"1"})
		o.becomes("1", Off)
	})
}

// A fault of a command that was done, such as a double of it has had when the receiver was in trouble, is no early event: nothing
// has to come before it.
func TestFaultOfWhatWasDoneIsNoEarlyEvent(t *testing.T) {
	t.Parallel()
	for _, final := range []bool{false, true} {
		o := open(t, "sqlite", newTrips(time.Minute), map[string]box.Letter{})
		o.begin("1", "Rome")
		o.publish(FlightBooked{"1"})
		o.becomes("1", Staying)
		o.publish(fault(BookFlight{ID: "1"}, "in trouble", final))
		eventually(t, "it is taken for a double", func() bool { return o.Stats().Double == 1 || o.Stats().Early > 0 })
		o.publish(RoomBooked{"1"})
		o.becomes("1", Booked)
		if s := o.Stats(); s.Double != 1 || s.Early != 0 {
			t.Errorf("counts %+v, want one double and nothing early", s)
		}
	}
}

// A command that was refused, and is done nevertheless, is undone: such as a double of it that has waited for so long that its
// receiver has forgotten that it refused.
func TestWhatWasRefusedAndIsDoneIsUndone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		o := open(t, database, newTrips(time.Minute), map[string]box.Letter{
			"BookFlight": fault(BookFlight{ID: "1"}, "no seat", true), "CancelFlight": FlightGone{"1"},
		})
		o.begin("1", "Rome")
		o.becomes("1", Off)
		if n := o.unanswered(); n != 0 || o.commands() != "BookFlight" {
			t.Errorf("%d commands are open, sent %q", n, o.commands())
		}
		o.publish(FlightBooked{"1"})
		eventually(t, "the flight is called off", func() bool { return o.commands() == "BookFlight CancelFlight" })
		eventually(t, "that is confirmed", func() bool { return o.unanswered() == 0 })
		o.becomes("1", Off)
	})
}

// A command that cannot be sent again does not hold up those of others.
func TestCommandsDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, database string) {
		o := open(t, database, newTrips(time.Minute), map[string]box.Letter{})
		o.begin("1", "Rome")
		if _, err := o.store.Exec(t.Context(), "UPDATE saga_command SET body = ? WHERE id = '1'", []byte("{")); err != nil {
			t.Fatal(err)
		}
		o.begin("2", "Rome")
		eventually(t, "the other one is sent again", func() bool {
			var attempt int
			if err := o.store.QueryRow(t.Context(), "SELECT attempt FROM saga_command WHERE id = '2'").Scan(&attempt); err != nil {
				t.Fatal(err)
			}
			return attempt >= 3
		})
	})
}
