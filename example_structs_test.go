package creatify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/url"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// Each constructor makes a variable of one type.
func ExampleVariables() {
	variables := creatify.Variables{
		"headline": creatify.Text("Spring sale"),
		"photo":    creatify.Image("https://example.com/photo.jpg"),
		"host":     creatify.Avatar("3c90c3cc-0d44-4b50-8888-8dd25736052a"),
		"voice":    creatify.Voiceover(""),
		"new":      creatify.RawVariable(json.RawMessage(`{"type": "sticker", "properties": {"size": 3}}`)),
	}
	sent, err := json.MarshalIndent(variables, "", "  ")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(sent))
	// Output:
	// {
	//   "headline": {
	//     "type": "text",
	//     "properties": {
	//       "content": "Spring sale"
	//     }
	//   },
	//   "host": {
	//     "type": "avatar",
	//     "properties": {
	//       "avatar_id": "3c90c3cc-0d44-4b50-8888-8dd25736052a"
	//     }
	//   },
	//   "new": {
	//     "type": "sticker",
	//     "properties": {
	//       "size": 3
	//     }
	//   },
	//   "photo": {
	//     "type": "image",
	//     "properties": {
	//       "url": "https://example.com/photo.jpg"
	//     }
	//   },
	//   "voice": {
	//     "type": "voiceover",
	//     "properties": {}
	//   }
	// }
}

// What cannot be right is refused before anything is sent, all at once.
func ExampleVariables_refused() {
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Jobs.CreatePreview(context.Background(), creatify.JobParams{
		TemplateID: "3c90c3cc-0d44-4b50-8888-8dd25736052a",
		Variables:  creatify.Variables{"photo": creatify.Image("photo.jpg"), "host": creatify.Avatar("")},
	})
	if invalid, ok := errors.AsType[*creatify.ValidationError](err); ok {
		for _, problem := range invalid.Problems {
			fmt.Println(problem.Field, problem.Message)
		}
	}
	fmt.Println("requests:", fake.Calls(creatifytest.CallCreatePreview))
	// Output:
	// variables.host the avatar's ID is empty
	// variables.photo must be an absolute http or https URL
	// requests: 0
}

type Order struct {
	Headline string   `creatify:"headline,text"`
	Photo    *url.URL `creatify:"photo,image"`
	Price    float64  `creatify:"price,text"`
	Note     string   `creatify:"note,text,omitempty"`
	Voice
	Customer string // without a tag: not a variable
}

type Voice struct {
	ID string `creatify:"voice,voiceover,omitempty"`
}

func ExampleVariablesFrom() {
	photo, err := url.Parse("https://example.com/photo.jpg")
	if err != nil {
		log.Fatal(err)
	}
	variables, err := creatify.VariablesFrom(Order{Headline: "Spring sale", Photo: photo, Price: 9.5})
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range []string{"headline", "photo", "price"} {
		fmt.Println(name, variables[name].Type(), variables[name].Value())
	}
	fmt.Println(len(variables))
	// Output:
	// headline text Spring sale
	// photo image https://example.com/photo.jpg
	// price text 9.5
	// 3
}

// Problems are told by the path of the field.
func ExampleVariablesFrom_refused() {
	_, err := creatify.VariablesFrom(Order{Photo: &url.URL{Path: "photo.jpg"}})
	fmt.Println(err)
	// Output:
	// creatify: invalid parameters: VariablesFrom: Order.Photo: must be an absolute http or https URL
}

func ExampleVariables_Into() {
	var job creatify.Job
	err := json.Unmarshal([]byte(`{"id": "7", "status": "done", "variables": {
		"headline": {"type": "text", "properties": {"content": "Spring sale"}},
		"photo":    {"type": "image", "properties": {"url": "https://cdn.example.com/1.jpg"}},
		"price":    {"type": "text", "properties": {"content": "9.5"}}}}`), &job)
	if err != nil {
		log.Fatal(err)
	}
	order := Order{Customer: "Ann"}
	if err := job.Variables.Into(&order); err != nil {
		log.Fatal(err)
	}
	fmt.Println(order.Headline, order.Photo, order.Price, order.Customer)
	// Output:
	// Spring sale https://cdn.example.com/1.jpg 9.5 Ann
}

func ExampleTemplate_Validate() {
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
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
