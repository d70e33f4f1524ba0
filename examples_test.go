package hubbub_test

import (
	"go/ast"
	"go/parser"
	"slices"
	"strings"
	"testing"
)

// withExamples are the public rooms in which every exported type and function is shown by an Example: by one of its name, or
// by a file of Examples that uses it.
var withExamples = []string{root, "signalr", "classic", "auth", "hubtest"}

func TestEverythingIsShown(t *testing.T) {
	t.Parallel()
	exported, shown := map[string][]string{}, map[string][]string{} // by folder
	for _, file := range sourceFiles(t, parser.SkipObjectResolution) {
		folder := file.folder()
		switch {
		case !slices.Contains(withExamples, folder):
		case !file.isTest():
			exported[folder] = append(exported[folder], topLevelNames(file.syntax)...)
		default:
			shown[folder] = append(shown[folder], shownNames(file.syntax)...)
		}
	}
	for _, folder := range withExamples {
		if len(exported[folder]) == 0 {
			t.Errorf("%s exports nothing", folder)
		}
		for _, name := range exported[folder] {
			if !slices.Contains(shown[folder], name) {
				t.Errorf("%s: no Example shows %s", folder, name)
			}
		}
	}
}

// topLevelNames returns the exported types and functions of a file.
func topLevelNames(file *ast.File) (names []string) {
	for _, declaration := range file.Decls {
		switch declaration := declaration.(type) {
		case *ast.FuncDecl:
			if declaration.Recv == nil && declaration.Name.IsExported() {
				names = append(names, declaration.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range declaration.Specs {
				if spec, ok := spec.(*ast.TypeSpec); ok && spec.Name.IsExported() {
					names = append(names, spec.Name.Name)
				}
			}
		}
	}
	return names
}

// shownNames returns what a file of Examples names: in the name of an Example, or with the name of its own package before it.
func shownNames(file *ast.File) (names []string) {
	tested := strings.TrimSuffix(file.Name.Name, "_test")
	examples := false
	for _, declaration := range file.Decls {
		if function, ok := declaration.(*ast.FuncDecl); ok && function.Recv == nil {
			if about, ok := strings.CutPrefix(function.Name.Name, "Example"); ok {
				about, _, _ = strings.Cut(about, "_")
				names, examples = append(names, about), true
			}
		}
	}
	if !examples {
		return nil
	}
	ast.Inspect(file, func(node ast.Node) bool {
		if selector, ok := node.(*ast.SelectorExpr); ok {
			if of, ok := selector.X.(*ast.Ident); ok && of.Name == tested {
				names = append(names, selector.Sel.Name)
			}
		}
		return true
	})
	return names
}
