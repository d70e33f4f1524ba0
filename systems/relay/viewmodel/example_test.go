package viewmodel_test

import (
	"context"
	"fmt"

	"github.com/hubbub-go/hubbub/systems/relay/viewmodel"
)

func ExampleSet() {
	set, err := viewmodel.New(viewmodel.Options{
		ViewModels: []viewmodel.Config{{
			Name:    "ShipVM",
			Class:   "Order",
			Columns: []string{"label = self.name + ' for ' + self.externalid"},
			Actions: []string{"print", "ship"},
		}},
		Functions: map[string]viewmodel.Function{
			"print": func(_ context.Context, r *viewmodel.Run) error {
				label, err := r.Text("label")
				fmt.Println(label)
				return err
			},
			"ship": func(_ context.Context, r *viewmodel.Run) error {
				r.Update(func(attributes map[string]any) error {
					attributes["shipped"] = true
					return nil
				})
				return nil
			},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer set.Close()
	order := map[string]any{"name": "Bolts"}
	run := &viewmodel.Run{ViewModel: "ShipVM", Object: viewmodel.Object{ID: "Order|7", Attributes: order}}
	fmt.Println(set.Run(context.Background(), run), run.Apply(order), order)
	// Output:
	// Bolts for Order|7
	// <nil> <nil> map[name:Bolts shipped:true]
}
