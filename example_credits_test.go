package creatify_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// The balance is read free of charge.
func ExampleWorkspaceService_RemainingCredits() {
	fake := creatifytest.New(creatifytest.Config{Credits: 42.5})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	credits, err := client.Workspace.RemainingCredits(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(credits)
	// Output:
	// 42.5
}

// The credits for a video of 45 s, and whether they are documented: by a preview and its render, or at once.
func ExampleEstimateCredits() {
	const length = 45 * time.Second
	fmt.Println(creatify.EstimateCredits(creatify.OperationPreview, creatify.ModelStandard, length))
	fmt.Println(creatify.EstimateCredits(creatify.OperationRender, creatify.ModelStandard, length))
	fmt.Println(creatify.EstimateCredits(creatify.OperationVideo, creatify.ModelStandard, length))
	fmt.Println(creatify.EstimateCredits(creatify.OperationVideo, creatify.ModelAuroraV1Fast, length))
	fmt.Println(creatify.EstimateCredits(creatify.OperationRender, creatify.ModelAuroraV1Fast, length))
	// Output:
	// 2 true
	// 8 true
	// 10 true
	// 22.5 true
	// 22.5 false
}

// A contract has another price than the documentation. Appended, it wins.
func ExamplePriceList() {
	prices := creatify.DocumentedPrices()
	prices.AsOf, prices.Source = "2026-12-01", "our contract"
	prices.Prices = append(prices.Prices, creatify.Price{
		Operation: creatify.OperationVideo, Model: creatify.ModelAuroraV1, Credits: 20, Per: 15 * time.Second,
	})
	fmt.Println(prices.Estimate(creatify.OperationVideo, creatify.ModelAuroraV1, 45*time.Second))
	budget := creatify.NewBudget(creatify.BudgetOptions{Credits: 100, Prices: prices})
	fmt.Println(budget.Remaining())
	// Output:
	// 60 true
	// 100
}

// A client with credits for two previews of up to 30 s makes two. The third is refused before anything is sent.
func ExampleNewBudget() {
	budget := creatify.NewBudget(creatify.BudgetOptions{Credits: 3, Spent: 1, VideoLength: 30 * time.Second})
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey,
		creatify.WithHTTPClient(fake.HTTPClient()), creatify.WithBudget(budget))
	if err != nil {
		log.Fatal(err)
	}
	params := creatify.JobParams{TemplateID: creatifytest.TemplateID, Variables: creatify.Variables{}}
	for range 3 {
		_, err := client.Jobs.CreatePreview(context.Background(), params)
		if err != nil && !errors.Is(err, creatify.ErrBudgetExceeded) {
			log.Fatal(err)
		}
		fmt.Println("refused:", err != nil, "spent:", budget.Spent(), "left:", budget.Remaining())
	}
	fmt.Println("credits charged:", fake.Charged())
	// Output:
	// refused: false spent: 2 left: 1
	// refused: false spent: 3 left: 0
	// refused: true spent: 3 left: 0
	// credits charged: 2
}
