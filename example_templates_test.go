package creatify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"maps"
	"slices"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// All templates of the account, without their variables.
func ExampleTemplatesService_List() {
	client, _ := exampleClient(creatifytest.Config{})
	templates, err := client.Templates.List(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, template := range templates {
		fmt.Println(template.ID, template.Name, template.AspectRatio, len(template.Variables))
	}
	// Output:
	// 3c90c3cc-0d44-4b50-8888-8dd25736052a Demo 9x16 0
}

// One template, with the variables that a job of it fills.
func ExampleTemplatesService_Get() {
	client, _ := exampleClient(creatifytest.Config{})
	template, err := client.Templates.Get(context.Background(), creatifytest.TemplateID)
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(template.Variables)) {
		fmt.Println(name, template.Variables[name].Type())
	}
	// Output:
	// headline text
	// photo image
}

// Variables are checked against the template before anything is paid for.
func ExampleTemplate_Validate() {
	client, _ := exampleClient(creatifytest.Config{})
	template, err := client.Templates.Get(context.Background(), creatifytest.TemplateID)
	if err != nil {
		log.Fatal(err)
	}
	err = template.Validate(creatify.Variables{
		"headlin": creatify.Text("Spring sale"),
		"photo":   creatify.Video("https://example.com/clip.mp4"),
	})
	if invalid, ok := errors.AsType[*creatify.ValidationError](err); ok {
		for _, problem := range invalid.Problems {
			fmt.Println(problem.Field, problem.Message)
		}
	}
	// Output:
	// variables.headlin is not in the template; did you mean "headline"?
	// variables.photo is of type "video"; the template has "image"
	// variables.headline is missing; the template has it with type "text" and no default
}

// RawJSON has what this version of the library does not know yet.
func ExampleTemplate_RawJSON() {
	client, fake := exampleClient(creatifytest.Config{})
	fake.Inject(creatifytest.Fault{Call: creatifytest.CallGetTemplate,
		Body: `{"template_id": "7", "name": "Demo", "category": "sales"}`})
	template, err := client.Templates.Get(context.Background(), creatifytest.TemplateID)
	if err != nil {
		log.Fatal(err)
	}
	var more struct{ Category string }
	if err := json.Unmarshal(template.RawJSON(), &more); err != nil {
		log.Fatal(err)
	}
	fmt.Println(template.Name, more.Category)
	// Output:
	// Demo sales
}
