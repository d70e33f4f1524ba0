// Package viewmodel holds server-side view models: what a ticket runs for one object. A view model has columns, which are
// expressions over the object, and actions, which read the columns and do something: subscribe to an event, trigger one, call a
// webhook, or call a Go function.
//
//	set, err := viewmodel.New(viewmodel.Options{
//		Events: relay,
//		ViewModels: []viewmodel.Config{{
//			Name:    "OrderVM",
//			Columns: []string{"eventguid = self.eventguid"},
//			Actions: []string{"RealtimeTriggerEvent"},
//		}},
//	})
//	err = set.Run(ctx, &viewmodel.Run{ViewModel: "OrderVM", Object: object})
//
// Expressions are in CEL (cel.dev). They see one variable, self: the attributes of the object by name, and externalid. A number
// without a fraction is an int, any other a double.
package viewmodel
