package hubtest_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/hubtest"
)

func TestContext(t *testing.T) {
	t.Parallel()
	check := func(t *testing.T) {
		ctx := hubtest.Context(t, "ann")
		c := hubbub.CallerFrom(ctx)
		if c == nil || c.ID() == "" || c.User().ID != "ann" || hubbub.UserFrom(ctx) != c.User() || c.Hub() == nil || c.Request() == nil {
			t.Fatalf("caller %v, want one with an id, the user ann, a hub and a request", c)
		}
		for what, err := range map[string]error{
			"join": c.Join(ctx, "red"), "leave": c.Leave(ctx, "red"), "send": c.Send(ctx, "Hello", 1),
			"others": c.Others().Send(ctx, "Hello"), "group": c.OthersInGroup("red").Send(ctx, "Hello"),
		} {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
		c.Items().Store("key", 7)
		if v, _ := hubbub.CallerFrom(ctx).Items().Load("key"); v != 7 {
			t.Errorf("item %v, want 7", v)
		}
		if _, err := hubbub.Invoke[bool](ctx, c, "Confirm", "sure?"); err == nil || !strings.Contains(err.Error(), "want one of Connect") {
			t.Errorf("client result: %v, want an error that says what to do", err)
		}
		for range 3000 { // more than a queue holds
			if err := c.Send(ctx, "Hello", strings.Repeat("x", 1000)); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-ctx.Done():
			t.Error("the context has ended, want it to go on")
		default:
		}
		if other := hubbub.CallerFrom(hubtest.Context(t, "")); other.User() != nil || other.ID() == c.ID() {
			t.Errorf("second caller %q with user %v, want another one and no user", other.ID(), other.User())
		}
		who := hubtest.ContextAs(t, &hubbub.User{ID: "bob", Claims: map[string]any{"team": "red"}})
		if team := hubbub.UserFrom(who).Claim("team"); team != "red" {
			t.Errorf("team %q, want red", team)
		}
	}
	t.Run("outside", func(t *testing.T) {
		t.Parallel()
		check(t)
	})
	t.Run("in a bubble", func(t *testing.T) { bubble(t, check) })
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	var ctx context.Context
	t.Run("test", func(t *testing.T) {
		ctx = hubtest.Context(t, "ann")
		if err := ctx.Err(); err != nil {
			t.Errorf("context: %v, want it to live", err)
		}
	})
	<-ctx.Done()

	synctest.Test(t, func(t *testing.T) {
		ctx := hubtest.Context(t, "ann")
		hubbub.CallerFrom(ctx).Abort()
		<-ctx.Done()
		<-hubbub.CallerFrom(ctx).Done()
	})
}
