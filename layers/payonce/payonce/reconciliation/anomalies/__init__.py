"""What no key and no reference tells: probable double charges, bursts and outliers."""
