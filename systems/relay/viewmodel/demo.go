package viewmodel

import (
	"context"
	"fmt"
	"math"
)

// Demo returns the view models with which the whole of events and tickets can be tried out, and their functions.
//
//   - SubscribeVM subscribes to the event that the object's attribute eventguid names, at the hub of its attribute realtimehub or
//     else at this server, so that SomeVM is run for the object when it fires.
//   - TriggerVM triggers the event that eventguid names.
//   - SomeVM adds 1 to the attribute runs.
//   - WebhookVM posts to the attribute url.
func Demo() ([]Config, map[string]Function) {
	return []Config{
		{
			Name: "SubscribeVM",
			Columns: []string{
				"realtimehub = has(self.realtimehub) ? self.realtimehub : ''",
				"eventguid = self.eventguid",
				"eventcookie = 'Viewmodel=SomeVM&RootId='+self.externalid",
			},
			Actions: []string{"realtimesubscribetoevent"},
		},
		{Name: "TriggerVM", Columns: []string{"eventguid = self.eventguid"}, Actions: []string{"RealtimeTriggerEvent"}},
		{Name: "SomeVM", Actions: []string{"CountRun"}},
		{Name: "WebhookVM", Columns: []string{"url = self.url"}, Actions: []string{"webhook"}},
	}, map[string]Function{"CountRun": countRun}
}

// countRun adds 1 to the attribute runs.
func countRun(_ context.Context, r *Run) error {
	r.Update(func(attributes map[string]any) error {
		switch n := attributes["runs"].(type) {
		case nil:
			attributes["runs"] = int64(1)
		case int64:
			if n == math.MaxInt64 {
				return fmt.Errorf("attribute runs: is %d already", n)
			}
			attributes["runs"] = n + 1
		case float64:
			attributes["runs"] = n + 1
		default:
			return fmt.Errorf("attribute runs: got %s, want a number", typeOf(n))
		}
		return nil
	})
	return nil
}
