"""Who reads what was generated: classifiers, labelers and feature extractors, loaded when first used."""
